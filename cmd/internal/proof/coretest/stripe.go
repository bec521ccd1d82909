package coretest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/payments"
)

// Stripe is a fake payment gateway: it answers at once, has one intent per order, and captures and refunds once.
type Stripe struct {
	log     *eventlog.Log
	webhook webhookReceiver
	autoPay bool
	pending atomic.Int64 // webhooks that are being posted
	nextID  atomic.Int64

	mu      sync.Mutex
	intents map[string]payments.Intent // by id
	refunds map[string]payments.StripeRefund
}

var _ payments.Gateway = (*Stripe)(nil)

// webhookReceiver receives Stripe's events after their signature was checked.
type webhookReceiver interface {
	Receive(ctx context.Context, received events.WebhookReceived) error
}

var errNoIntent = &payments.GatewayError{Kind: payments.ErrPermanent, Status: 404, Code: "resource_missing", Message: "no such intent"}

func newStripe(l *eventlog.Log, autoPay bool) *Stripe {
	return &Stripe{log: l, autoPay: autoPay, intents: map[string]payments.Intent{}, refunds: map[string]payments.StripeRefund{}}
}

func (s *Stripe) idle() bool { return s.pending.Load() == 0 }

func intentID(orderID string) string { return "pi_" + orderID }

// CreateIntent creates the order's intent, or returns it. With [Config.AutoPay] the shopper pays while the answer is returned.
func (s *Stripe) CreateIntent(ctx context.Context, p payments.Payment) (payments.Intent, error) {
	s.mu.Lock()
	in, known := s.intents[intentID(p.OrderID)]
	if !known {
		in = payments.Intent{ID: intentID(p.OrderID), PaymentID: p.ID, OrderID: p.OrderID, Amount: p.Amount, Status: payments.IntentRequiresPaymentMethod,
			ClientSecret: intentID(p.OrderID) + "_secret_x"}
		s.intents[in.ID] = in
	}
	s.mu.Unlock()
	if s.autoPay && !known {
		s.pending.Add(1)
		go func() {
			defer s.pending.Add(-1)
			if err := s.Pay(context.WithoutCancel(ctx), p.OrderID); err != nil {
				s.log.Logger().Error("pay", "order", p.OrderID, "error", err)
			}
		}()
	}
	return in, nil
}

// Pay authorizes the amount of an order, as its shopper does, and posts the webhook.
func (s *Stripe) Pay(ctx context.Context, orderID string) error {
	in, err := s.Authorize(orderID)
	if err != nil || in.Status != payments.IntentRequiresCapture {
		return err
	}
	return s.Post(ctx, "payment_intent.amount_capturable_updated", in)
}

// Authorize authorizes the amount of an order, as its shopper does, and posts nothing.
func (s *Stripe) Authorize(orderID string) (payments.Intent, error) {
	return s.change(intentID(orderID), func(in *payments.Intent) {
		if in.Status == payments.IntentRequiresPaymentMethod {
			in.Status, in.Capturable, in.Charge = payments.IntentRequiresCapture, in.Amount.Amount, "ch_"+in.OrderID
		}
	})
}

// Post delivers an event about an intent to the shop, as the webhook's handler does.
func (s *Stripe) Post(ctx context.Context, eventType string, in payments.Intent) error {
	id := fmt.Sprintf("evt_%d", s.nextID.Add(1))
	fact := events.WebhookReceived{StripeEvent: id, StripeType: eventType, APIVersion: "2023-10-16", Via: "webhook", Body: body(id, eventType, in)}
	return s.webhook.Receive(ctx, fact)
}

// body is the event as Stripe posts it, with the fields that a shop may read.
func body(id, eventType string, in payments.Intent) jsontext.Value {
	return jsontext.Value(fmt.Sprintf(`{"id":%q,"object":"event","api_version":"2023-10-16","created":1760000000,"data":{"object":{`+
		`"id":%q,"object":"payment_intent","amount":%d,"amount_capturable":%d,"amount_received":%d,"capture_method":"manual",`+
		`"currency":%q,"latest_charge":%q,"livemode":false,"metadata":{"order_id":%q,"payment_id":%q},"status":%q}},"livemode":false,`+
		`"pending_webhooks":1,"type":%q}`, id, in.ID, in.Amount.Amount, in.Capturable, in.Received, strings.ToLower(in.Amount.Currency),
		in.Charge, in.OrderID, in.PaymentID, in.Status, eventType))
}

// Intent returns the intent of an order.
func (s *Stripe) Intent(orderID string) (payments.Intent, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, known := s.intents[intentID(orderID)]
	return in, known
}

// Money returns what was received and refunded, by the id of the intent or of the refund, in minor units.
func (s *Stripe) Money() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	money := map[string]int64{}
	for id, in := range s.intents {
		money[id] = in.Received
	}
	for id, r := range s.refunds {
		money[id] = -r.Amount.Amount
	}
	return money
}

func (s *Stripe) change(id string, edit func(*payments.Intent)) (payments.Intent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in, known := s.intents[id]
	if !known {
		return in, errNoIntent
	}
	edit(&in)
	s.intents[id] = in
	return in, nil
}

// RetrieveIntent implements [payments.Gateway].
func (s *Stripe) RetrieveIntent(_ context.Context, id string) (payments.Intent, error) {
	return s.change(id, func(*payments.Intent) {})
}

// FindIntent implements [payments.Gateway].
func (s *Stripe) FindIntent(_ context.Context, p payments.Payment) (payments.Intent, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.intents {
		if in.PaymentID == p.ID {
			return in, true, nil
		}
	}
	return payments.Intent{}, false, nil
}

// Capture implements [payments.Gateway].
func (s *Stripe) Capture(_ context.Context, p payments.Payment, part payments.Part) (payments.Intent, error) {
	return s.change(p.PaymentIntent, func(in *payments.Intent) {
		if in.Status == payments.IntentRequiresCapture {
			in.Capturable, in.Received = in.Capturable-part.Amount.Amount, in.Received+part.Amount.Amount
			if !part.More {
				in.Status, in.Capturable = payments.IntentSucceeded, 0
			}
		}
	})
}

// Cancel implements [payments.Gateway].
func (s *Stripe) Cancel(_ context.Context, p payments.Payment) (payments.Intent, error) {
	return s.change(p.PaymentIntent, func(in *payments.Intent) {
		if in.Status != payments.IntentSucceeded {
			in.Status, in.Capturable, in.Cancellation = payments.IntentCanceled, 0, "requested_by_customer"
		}
	})
}

// Refund implements [payments.Gateway].
func (s *Stripe) Refund(_ context.Context, p payments.Payment, refundID string, amount events.Money) (payments.StripeRefund, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.refunds[refundID]
	if !known {
		r = payments.StripeRefund{ID: "re_" + refundID, RefundID: refundID, Charge: p.Charge, Amount: amount, Status: payments.RefundSucceeded}
		s.refunds[refundID] = r
	}
	return r, nil
}

// ListRefunds implements [payments.Gateway].
func (s *Stripe) ListRefunds(_ context.Context, intent string) ([]payments.StripeRefund, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var refunds []payments.StripeRefund
	for _, r := range s.refunds {
		if intentID(strings.TrimPrefix(r.Charge, "ch_")) == intent {
			refunds = append(refunds, r)
		}
	}
	return refunds, nil
}

// ListEvents implements [payments.Gateway]. It lists nothing: posted events are not kept.
func (s *Stripe) ListEvents(context.Context, time.Time, time.Time, []string, func(payments.RawEvent) error) error {
	return nil
}

// RetrieveDispute implements [payments.Gateway]. Nobody disputes a payment here.
func (s *Stripe) RetrieveDispute(context.Context, string) (payments.StripeDispute, error) {
	return payments.StripeDispute{}, errNoIntent
}

// ListBalance implements [payments.Bookkeeping]. Nothing is booked.
func (s *Stripe) ListBalance(context.Context, payments.BalanceQuery, func(payments.BalanceTransaction) error) error {
	return nil
}

// ListPayouts implements [payments.Bookkeeping].
func (s *Stripe) ListPayouts(context.Context, int, string) ([]payments.Payout, bool, error) {
	return nil, false, nil
}

// RetrievePayout implements [payments.Bookkeeping].
func (s *Stripe) RetrievePayout(context.Context, string) (payments.Payout, error) {
	return payments.Payout{}, errNoIntent
}
