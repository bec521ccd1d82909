package sandbox_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tillstream/payments/sandbox"
)

func logTo(w io.Writer) func(*sandbox.Config) {
	return func(c *sandbox.Config) {
		c.Logger = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// challenge submits the form of the bank's page.
func (s *testServer) challenge(in *stripe.PaymentIntent, outcome string) answer {
	s.t.Helper()
	return s.mustSend(http.MethodPost, "/3ds/"+in.ID, url.Values{"client_secret": {in.ClientSecret}, "outcome": {outcome}})
}

func (s *testServer) challenged(returnURL string) *stripe.PaymentIntent {
	s.t.Helper()
	params := &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_threeDSecure2Required")}
	if returnURL != "" {
		params.ReturnURL = stripe.String(returnURL)
	}
	in, err := s.stripe.PaymentIntents.Confirm(s.create().ID, params)
	if err != nil {
		s.t.Fatalf("confirm: %v", err)
	}
	if in.Status != stripe.PaymentIntentStatusRequiresAction {
		s.t.Fatalf("confirm: got status %s, want requires_action", in.Status)
	}
	return in
}

func TestChallengeOutcomeDecidesThePayment(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		outcome, redirect string
		status            stripe.PaymentIntentStatus
		problem           stripe.ErrorCode
		events            []string
	}{
		"Complete": {"complete", "succeeded", stripe.PaymentIntentStatusRequiresCapture, "", []string{"charge.succeeded", "payment_intent.amount_capturable_updated"}},
		"Fail":     {"fail", "failed", stripe.PaymentIntentStatusRequiresPaymentMethod, stripe.ErrorCodePaymentIntentAuthenticationFailure, []string{"payment_intent.payment_failed"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t)
			in := s.challenged("http://shop.example/orders/1?tab=pay")
			if in.NextAction.Type != stripe.PaymentIntentNextActionTypeRedirectToURL {
				t.Fatalf("got next action %+v, want redirect_to_url", in.NextAction)
			}
			bank, err := url.Parse(in.NextAction.RedirectToURL.URL)
			if err != nil {
				t.Fatal(err)
			}
			page := s.mustSend(http.MethodGet, bank.RequestURI(), nil)
			if page.status != http.StatusOK || !strings.Contains(page.body, "12.50 GBP") || !strings.Contains(page.body, ">Complete<") || !strings.Contains(page.body, ">Fail<") {
				t.Errorf("got page %d %s, want 200 with the amount and both buttons", page.status, page.body)
			}
			if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' http://shop.example") {
				t.Errorf("got policy %q, want form-action to allow the shop", policy)
			}
			before := len(s.eventTypes())
			for press := range 2 { // the second press only redirects
				got := s.challenge(in, test.outcome)
				back, err := url.Parse(got.header.Get("Location"))
				if err != nil {
					t.Fatal(err)
				}
				want := url.Values{
					"tab": {"pay"}, "payment_intent": {in.ID}, "payment_intent_client_secret": {in.ClientSecret}, "redirect_status": {test.redirect},
				}
				if diff := cmp.Diff(want, back.Query()); diff != "" || got.status != http.StatusSeeOther || back.Host != "shop.example" {
					t.Errorf("press %d: got %d to %s, want 303 to the shop (-want +got):\n%s", press, got.status, back, diff)
				}
			}
			after := s.get(in.ID)
			if after.Status != test.status || after.NextAction != nil {
				t.Errorf("got status %s, next action %+v; want %s and none", after.Status, after.NextAction, test.status)
			}
			if test.problem != "" && (after.LastPaymentError == nil || after.LastPaymentError.Code != test.problem) {
				t.Errorf("got last payment error %+v, want %s", after.LastPaymentError, test.problem)
			}
			if diff := cmp.Diff(append([]string{}, test.events...), s.eventTypes()[before:]); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChallengeWithoutReturnURLShowsTheResult(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.challenged("")
	key, value := bearer(secretKey)
	var raw struct {
		NextAction struct {
			Type         string
			UseStripeSDK struct{ URL string } `json:"use_stripe_sdk"`
		} `json:"next_action"`
	}
	s.mustSend(http.MethodGet, "/v1/payment_intents/"+in.ID, nil, key, value).decode(t, &raw)
	if raw.NextAction.Type != "use_stripe_sdk" || !strings.HasPrefix(raw.NextAction.UseStripeSDK.URL, s.url+"/3ds/"+in.ID+"?") {
		t.Errorf("got next action %+v, want use_stripe_sdk with the bank's page", raw.NextAction)
	}
	if got := s.challenge(in, "complete"); got.status != http.StatusOK || !strings.Contains(got.body, "Payment confirmed") {
		t.Errorf("completed challenge: got %d %s, want 200 with the result", got.status, got.body)
	}
}

func TestBankMayDeclineAfterTheChallenge(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in, err := s.confirm(s.create().ID, "pm_card_threeDSecureRequiredChargeDeclined")
	if err != nil {
		t.Fatal(err)
	}
	s.challenge(in, "complete")
	after := s.get(in.ID)
	if after.Status != stripe.PaymentIntentStatusRequiresPaymentMethod || after.LastPaymentError.Code != stripe.ErrorCodeCardDeclined {
		t.Errorf("got status %s, error %+v; want requires_payment_method, card_declined", after.Status, after.LastPaymentError)
	}
}

func TestChallengeNeedsTheSecret(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.challenged("")
	other := *in
	other.ClientSecret = "guess"
	page := s.mustSend(http.MethodGet, "/3ds/"+in.ID+"?client_secret=guess", nil)
	pressed := s.challenge(&other, "complete")
	odd := s.challenge(in, "maybe")
	if diff := cmp.Diff([]int{404, 404, 400}, []int{page.status, pressed.status, odd.status}); diff != "" {
		t.Errorf("statuses of page, press, invalid outcome (-want +got):\n%s", diff)
	}
	if after := s.get(in.ID); after.Status != stripe.PaymentIntentStatusRequiresAction {
		t.Errorf("got status %s, want requires_action", after.Status)
	}
}
