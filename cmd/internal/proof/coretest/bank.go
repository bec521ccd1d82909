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
	"tillstream/events/log"
	"tillstream/payments"
)

// Bank stands in for Stripe: it answers at once, knows one intent per order, and takes and gives back money once.
type Bank struct {
	log    *log.Log
	till   receiver
	paying bool
	posts  atomic.Int64 // webhooks on their way
	nextID atomic.Int64

	mu      sync.Mutex
	intents map[string]payments.Intent // by id
	refunds map[string]payments.StripeRefund
}

var _ payments.Gateway = (*Bank)(nil)

// receiver is where Stripe's events arrive once their signature was checked.
type receiver interface {
	Receive(ctx context.Context, received events.WebhookReceived) error
}

var errNoIntent = &payments.GatewayError{Kind: payments.ErrPermanent, Status: 404, Code: "resource_missing", Message: "no such intent"}

func newBank(l *log.Log, paying bool) *Bank {
	return &Bank{log: l, paying: paying, intents: map[string]payments.Intent{}, refunds: map[string]payments.StripeRefund{}}
}

func (b *Bank) idle() bool { return b.posts.Load() == 0 }

func intentID(orderID string) string { return "pi_" + orderID }

// CreateIntent makes the order's one intent. A shop whose shoppers pay at once hears of it by a webhook, which is posted
// while the answer is on its way.
func (b *Bank) CreateIntent(ctx context.Context, p payments.Payment) (payments.Intent, error) {
	b.mu.Lock()
	in, known := b.intents[intentID(p.OrderID)]
	if !known {
		in = payments.Intent{ID: intentID(p.OrderID), PaymentID: p.ID, OrderID: p.OrderID, Amount: p.Amount, Status: payments.IntentRequiresPaymentMethod,
			ClientSecret: intentID(p.OrderID) + "_secret_x"}
		b.intents[in.ID] = in
	}
	b.mu.Unlock()
	if b.paying && !known {
		b.posts.Add(1)
		go func() {
			defer b.posts.Add(-1)
			if err := b.Pay(context.WithoutCancel(ctx), p.OrderID); err != nil {
				b.log.Logger().Error("pay", "order", p.OrderID, "error", err)
			}
		}()
	}
	return in, nil
}

// Pay has the shopper authorize what the order asks for, and posts the webhook.
func (b *Bank) Pay(ctx context.Context, orderID string) error {
	in, err := b.Authorize(orderID)
	if err != nil || in.Status != payments.IntentRequiresCapture {
		return err
	}
	return b.Post(ctx, "payment_intent.amount_capturable_updated", in)
}

// Authorize has the shopper authorize what the order asks for, and tells nobody.
func (b *Bank) Authorize(orderID string) (payments.Intent, error) {
	return b.change(intentID(orderID), func(in *payments.Intent) {
		if in.Status == payments.IntentRequiresPaymentMethod {
			in.Status, in.Capturable, in.Charge = payments.IntentRequiresCapture, in.Amount.Amount, "ch_"+in.OrderID
		}
	})
}

// Post hands an event about an intent to the shop as the handler of the webhook does.
func (b *Bank) Post(ctx context.Context, eventType string, in payments.Intent) error {
	id := fmt.Sprintf("evt_%d", b.nextID.Add(1))
	fact := events.WebhookReceived{StripeEvent: id, StripeType: eventType, APIVersion: "2023-10-16", Via: "webhook", Body: body(id, eventType, in)}
	return b.till.Receive(ctx, fact)
}

// body is the event as Stripe would post it, with the fields that a shop may look at.
func body(id, eventType string, in payments.Intent) jsontext.Value {
	return jsontext.Value(fmt.Sprintf(`{"id":%q,"object":"event","api_version":"2023-10-16","created":1760000000,"data":{"object":{`+
		`"id":%q,"object":"payment_intent","amount":%d,"amount_capturable":%d,"amount_received":%d,"capture_method":"manual",`+
		`"currency":%q,"latest_charge":%q,"livemode":false,"metadata":{"order_id":%q,"payment_id":%q},"status":%q}},"livemode":false,`+
		`"pending_webhooks":1,"type":%q}`, id, in.ID, in.Amount.Amount, in.Capturable, in.Received, strings.ToLower(in.Amount.Currency),
		in.Charge, in.OrderID, in.PaymentID, in.Status, eventType))
}

// Intent returns what the bank knows of an order's intent.
func (b *Bank) Intent(orderID string) (payments.Intent, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in, known := b.intents[intentID(orderID)]
	return in, known
}

func (b *Bank) change(id string, how func(*payments.Intent)) (payments.Intent, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	in, known := b.intents[id]
	if !known {
		return in, errNoIntent
	}
	how(&in)
	b.intents[id] = in
	return in, nil
}

// RetrieveIntent implements [payments.Gateway].
func (b *Bank) RetrieveIntent(_ context.Context, id string) (payments.Intent, error) {
	return b.change(id, func(*payments.Intent) {})
}

// FindIntent implements [payments.Gateway].
func (b *Bank) FindIntent(_ context.Context, paymentID string) (payments.Intent, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, in := range b.intents {
		if in.PaymentID == paymentID {
			return in, true, nil
		}
	}
	return payments.Intent{}, false, nil
}

// Capture implements [payments.Gateway].
func (b *Bank) Capture(_ context.Context, p payments.Payment) (payments.Intent, error) {
	return b.change(p.PaymentIntent, func(in *payments.Intent) {
		if in.Status == payments.IntentRequiresCapture {
			in.Status, in.Capturable, in.Received = payments.IntentSucceeded, 0, in.Amount.Amount
		}
	})
}

// Cancel implements [payments.Gateway].
func (b *Bank) Cancel(_ context.Context, p payments.Payment) (payments.Intent, error) {
	return b.change(p.PaymentIntent, func(in *payments.Intent) {
		if in.Status != payments.IntentSucceeded {
			in.Status, in.Capturable, in.Cancellation = payments.IntentCanceled, 0, "requested_by_customer"
		}
	})
}

// Refund implements [payments.Gateway].
func (b *Bank) Refund(_ context.Context, p payments.Payment, refundID string, amount events.Money) (payments.StripeRefund, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, known := b.refunds[refundID]
	if !known {
		r = payments.StripeRefund{ID: "re_" + refundID, RefundID: refundID, Charge: p.Charge, Amount: amount, Status: payments.RefundSucceeded}
		b.refunds[refundID] = r
	}
	return r, nil
}

// ListRefunds implements [payments.Gateway].
func (b *Bank) ListRefunds(_ context.Context, intent string) ([]payments.StripeRefund, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var refunds []payments.StripeRefund
	for _, r := range b.refunds {
		if intentID(strings.TrimPrefix(r.Charge, "ch_")) == intent {
			refunds = append(refunds, r)
		}
	}
	return refunds, nil
}

// ListEvents implements [payments.Gateway]: this bank forgets what it has posted.
func (b *Bank) ListEvents(context.Context, time.Time, time.Time, []string, func(payments.RawEvent) error) error {
	return nil
}
