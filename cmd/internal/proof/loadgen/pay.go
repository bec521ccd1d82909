package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"tillstream/events"
)

// Test cards of docs.stripe.com/testing: one that is always accepted, one that is always declined, and one whose bank requires 3-D
// Secure.
const (
	testCard      = "pm_card_visa"
	decliningCard = "pm_card_visa_chargeDeclined"
	secureCard    = "pm_card_threeDSecure2Required"
)

// Ends of a purchase that is not paid.
var (
	errLeft      = errors.New("the shopper has left")
	errUnpayable = errors.New("the order could not be paid")
)

// confirmation is the part of a PaymentIntent that a browser reads after an attempt to pay.
type confirmation struct {
	Status     string `json:"status"`
	NextAction struct {
		SDK struct {
			URL string `json:"url"` // of the bank's page
		} `json:"use_stripe_sdk"`
	} `json:"next_action"`
}

// confirm pays with a card that needs no authentication.
func (s *Shop) confirm(ctx context.Context, p payment, card string) error {
	in, err := s.attempt(ctx, p, card)
	if err != nil {
		return err
	}
	switch in.Status {
	case "requires_capture", "processing", "succeeded":
		return nil
	}
	return &Failure{Kind: Kind("pay_" + in.Status), Err: fmt.Errorf("payment intent %s is %s after paying", p.Intent, in.Status)}
}

// attempt pays at Stripe as the shopper's browser does: with the publishable key and the intent's client secret.
func (s *Shop) attempt(ctx context.Context, p payment, card string) (in confirmation, err error) {
	form := url.Values{"client_secret": {p.ClientSecret}, "payment_method": {card}}
	key := s.at.PublishableKey
	if key == "" {
		key = p.PublishableKey
	}
	err = s.client.call(ctx, s.client.retryStripe, request{method: http.MethodPost, url: s.at.Stripe + "/v1/payment_intents/" + p.Intent + "/confirm",
		bearer: key, contentType: formType, body: []byte(form.Encode())}, &in)
	var refusal *StatusError
	if errors.As(err, &refusal) && refusal.Code == "payment_intent_unexpected_state" {
		return confirmation{Status: "processing"}, nil // an earlier attempt arrived and its answer was lost; the final state of the order decides
	}
	return in, err
}

const formType = "application/x-www-form-urlencoded"

// authenticate pays with a card whose bank requires 3-D Secure, and does there what the habit demands. over reports that the shopper has
// paid. An error is [errLeft] if the shopper does not come back.
func (b *Buyer) authenticate(ctx context.Context, habit Habit, p payment) (over bool, err error) {
	in, err := b.Shop.attempt(ctx, p, secureCard)
	switch {
	case err != nil:
		return false, err
	case in.Status != "requires_action":
		return true, nil // an earlier attempt arrived, and the bank's answer with it
	case habit == LeavesAtBank:
		return false, errLeft
	}
	outcome := map[Habit]string{Authenticates: "complete", FailsAtBank: "fail"}[habit]
	form := url.Values{"client_secret": {p.ClientSecret}, "outcome": {outcome}}
	err = b.Shop.client.retryStripe.do(ctx, func() error {
		response, err := b.Shop.client.send(ctx, request{method: http.MethodPost, url: in.NextAction.SDK.URL, contentType: formType, body: []byte(form.Encode())})
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	return habit == Authenticates, err
}

// returnHalf refunds half of a paid order in Stripe's dashboard. A request may fail after Stripe has made the refund, so each is
// followed by a look.
func (b *Buyer) returnHalf(ctx context.Context, o Order) (events.Money, error) {
	half := events.Money{Amount: o.Total.Amount / 2, Currency: o.Total.Currency}
	p, err := b.Shop.payment(ctx, o)
	if err != nil {
		return half, failed(stepRefund, err)
	}
	form := url.Values{"payment_intent": {p.Intent}, "amount": {strconv.FormatInt(half.Amount, 10)}}
	for {
		made, err := b.Shop.refunds(ctx, url.Values{"payment_intent": {p.Intent}})
		if err == nil && len(made) > 0 {
			return half, nil
		}
		if err == nil {
			var refund struct{}
			once := retryPolicy{attempts: 1, retries: b.Shop.client.retry.retries}
			err = b.Shop.client.call(ctx, once, request{method: http.MethodPost, url: b.Shop.at.Stripe + "/v1/refunds", bearer: b.Shop.at.SecretKey,
				contentType: formType, body: []byte(form.Encode())}, &refund)
		}
		if sleep(ctx, firstInterval) != nil {
			return half, failed(stepRefund, fmt.Errorf("refund half of order %s: %w", o.ID, err))
		}
	}
}
