package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Cards of docs.stripe.com/testing: one that always pays, and one that never does.
const (
	testCard      = "pm_card_visa"
	decliningCard = "pm_card_visa_chargeDeclined"
)

// confirm pays as the shopper's browser does: with the public key and the intent's secret.
func (s *Shop) confirm(ctx context.Context, p payment, card string) error {
	form := url.Values{"client_secret": {p.ClientSecret}, "payment_method": {card}}
	key := s.at.PublishableKey
	if key == "" {
		key = p.PublishableKey
	}
	var intent struct {
		Status string `json:"status"`
	}
	err := s.client.call(ctx, s.client.bank, request{method: http.MethodPost, url: s.at.Stripe + "/v1/payment_intents/" + p.Intent + "/confirm",
		bearer: key, contentType: "application/x-www-form-urlencoded", body: []byte(form.Encode())}, &intent)
	var refusal *StatusError
	if errors.As(err, &refusal) && refusal.Code == "payment_intent_unexpected_state" {
		return nil // an earlier attempt arrived although its answer did not; the order will say what came of it
	}
	if err != nil {
		return err
	}
	switch intent.Status {
	case "requires_capture", "processing", "succeeded":
		return nil
	}
	return &Failure{Kind: Kind("pay_" + intent.Status), Err: fmt.Errorf("payment intent %s is %s after paying", p.Intent, intent.Status)}
}
