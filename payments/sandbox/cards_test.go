package sandbox_test

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/stripe/stripe-go/v76"
)

func TestNamedTestCardsEndAsPublished(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	tests := map[string]struct{ status, code, decline string }{
		"pm_card_visa":                               {"requires_capture", "", ""},
		"pm_card_mastercard":                         {"requires_capture", "", ""},
		"pm_card_amex":                               {"requires_capture", "", ""},
		"pm_card_chargeDeclined":                     {"requires_payment_method", "card_declined", "generic_decline"},
		"pm_card_visa_chargeDeclined":                {"requires_payment_method", "card_declined", "generic_decline"},
		"pm_card_chargeDeclinedInsufficientFunds":    {"requires_payment_method", "card_declined", "insufficient_funds"},
		"pm_card_chargeDeclinedExpiredCard":          {"requires_payment_method", "expired_card", ""},
		"pm_card_chargeDeclinedIncorrectCvc":         {"requires_payment_method", "incorrect_cvc", ""},
		"pm_card_chargeDeclinedProcessingError":      {"requires_payment_method", "processing_error", ""},
		"pm_card_authenticationRequired":             {"requires_action", "", ""},
		"pm_card_threeDSecure2Required":              {"requires_action", "", ""},
		"pm_card_threeDSecureRequiredChargeDeclined": {"requires_action", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := s.create().ID
			_, err := s.confirm(id, name)
			in := s.get(id)
			if string(in.Status) != test.status {
				t.Errorf("got status %s, want %s", in.Status, test.status)
			}
			if test.code == "" {
				if err != nil || in.LastPaymentError != nil {
					t.Errorf("got error %v, last payment error %+v; want none", err, in.LastPaymentError)
				}
				return
			}
			e := stripeError(t, err)
			if e.HTTPStatusCode != http.StatusPaymentRequired || e.Type != stripe.ErrorTypeCard || string(e.Code) != test.code || string(e.DeclineCode) != test.decline {
				t.Errorf("got error %+v, want 402 %s %s", e, test.code, test.decline)
			}
			if e.PaymentIntent.ID != id || e.ChargeID != in.LatestCharge.ID || in.LastPaymentError.Code != e.Code || in.PaymentMethod != nil {
				t.Errorf("got error %+v and intent %+v, want the same charge and code", e, in)
			}
		})
	}
}

func TestDeclinedIntentCanBePaidWithAnotherCard(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	id := s.create().ID
	_, err := s.confirm(id, "pm_card_chargeDeclined")
	failed := stripeError(t, err).ChargeID
	in, err := s.confirm(id, "pm_card_visa")
	if err != nil {
		t.Fatal(err)
	}
	if in.Status != stripe.PaymentIntentStatusRequiresCapture || in.LastPaymentError != nil || in.LatestCharge.ID == failed {
		t.Errorf("second attempt: got %+v, want requires_capture with a new charge", in)
	}
	ch, err := s.stripe.Charges.Get(failed, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ch.Status != stripe.ChargeStatusFailed || ch.Paid || ch.FailureCode != "card_declined" {
		t.Errorf("first charge: got %+v, want failed with card_declined", ch)
	}
}

func TestOffSessionPaymentThatNeedsAuthenticationIsDeclined(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	_, err := s.stripe.PaymentIntents.Confirm(s.create().ID, &stripe.PaymentIntentConfirmParams{
		PaymentMethod: stripe.String("pm_card_authenticationRequired"), OffSession: stripe.Bool(true),
	})
	if e := stripeError(t, err); e.Code != stripe.ErrorCodeAuthenticationRequired || e.HTTPStatusCode != http.StatusPaymentRequired {
		t.Errorf("got error %+v, want 402 authentication_required", e)
	}
}

func TestTypedCardsAreValidated(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	year := strconv.Itoa(s.clock.Now().Year() + 1)
	tests := map[string]struct {
		number, month, year, cvc string
		status                   int
		code, decline            string
	}{
		"Success":           {"4242424242424242", "12", year, "123", 200, "", ""},
		"Spaced":            {"4242 4242 4242 4242", "1", year, "123", 200, "", ""},
		"ShortYear":         {"4242424242424242", "12", year[2:], "123", 200, "", ""},
		"Amex":              {"378282246310005", "12", year, "1234", 200, "", ""},
		"ThreeDSecure":      {"4000002500003155", "12", year, "123", 200, "", ""},
		"ThreeDSecure2":     {"4000000000003220", "12", year, "123", 200, "", ""},
		"Declined":          {"4000000000000002", "12", year, "123", 402, "card_declined", "generic_decline"},
		"InsufficientFunds": {"4000000000009995", "12", year, "123", 402, "card_declined", "insufficient_funds"},
		"Expired":           {"4000000000000069", "12", year, "123", 402, "expired_card", ""},
		"WrongCVC":          {"4000000000000127", "12", year, "123", 402, "incorrect_cvc", ""},
		"NotATestCard":      {"4539578763621486", "12", year, "123", 402, "card_declined", "test_mode_live_card"},
		"BadLuhn":           {"4242424242424241", "12", year, "123", 402, "incorrect_number", ""},
		"Letters":           {"4242abcd42424242", "12", year, "123", 402, "incorrect_number", ""},
		"NoNumber":          {"", "12", year, "123", 400, "parameter_missing", ""},
		"Month13":           {"4242424242424242", "13", year, "123", 402, "invalid_expiry_month", ""},
		"LastCentury":       {"4242424242424242", "12", "1999", "123", 402, "invalid_expiry_year", ""},
		"ShortCVC":          {"4242424242424242", "12", year, "12", 402, "invalid_cvc", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := typedCard(test.number, test.month, test.year, test.cvc)
			key, value := bearer(secretKey)
			got := s.mustSend(http.MethodPost, "/v1/payment_intents/"+s.create().ID+"/confirm", form, key, value)
			var body struct {
				Error struct {
					Code        string
					DeclineCode string `json:"decline_code"`
				}
			}
			got.decode(t, &body)
			if got.status != test.status || body.Error.Code != test.code || body.Error.DeclineCode != test.decline {
				t.Errorf("got status %d, error %+v; want %d %s %s", got.status, body.Error, test.status, test.code, test.decline)
			}
		})
	}
}

func typedCard(number, month, year, cvc string) url.Values {
	return url.Values{
		"payment_method_data[type]":            {"card"},
		"payment_method_data[card][number]":    {number},
		"payment_method_data[card][exp_month]": {month},
		"payment_method_data[card][exp_year]":  {year},
		"payment_method_data[card][cvc]":       {cvc},
	}
}
