package payments

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

func TestPurchaseCapturesOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	if p.Status != StatusIntentCreated || p.Amount != 1250 || p.Currency != "GBP" || p.PublishableKey != publishableKey {
		t.Errorf("got %+v", p)
	}
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	if in := f.callStripe("payment_intents/"+p.PaymentIntent, nil); in["status"] != "succeeded" || in["amount_received"] != 1250.0 {
		t.Errorf("at Stripe it is %v, %v received", in["status"], in["amount_received"])
	}
	// Both events of Stripe have arrived, and the captured one said nothing new.
	f.waitUntil("both webhooks are noted", func() bool { return f.webhooksStored() == 2 })
	want := map[string]int{"requested": 1, "intent_created": 1, "authorized": 1, "captured": 1, "webhook_received": 2}
	if diff := cmp.Diff(want, f.countByType("payments."+events.FirstPaymentID(orderID))); diff != "" {
		t.Errorf("said, want-, got+:\n%s", diff)
	}
	for _, e := range f.history() {
		_, fromOutside := e.Payload.(events.WebhookReceived)
		if e.Subject == events.PrefixPayment+events.FirstPaymentID(orderID) && (e.CorrelationID != orderID || (e.CausationID == "") != fromOutside) {
			t.Errorf("%s is about order %q because of %q", e.Type, e.CorrelationID, e.CausationID)
		}
	}
	var after PaymentBody
	if f.getPayment(orderID, 0, &after); after.Status != StatusCaptured || after.ClientSecret != "" {
		t.Errorf("afterwards %+v", after)
	}
	f.expectNoSecrets(p.ClientSecret)
}

func TestDeclinedCardIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_chargeDeclinedInsufficientFunds")
	f.waitUntil("the decline is known", func() bool { return f.payment(orderID).LastError != nil })
	var declined PaymentBody
	f.getPayment(orderID, 0, &declined)
	want := &PaymentError{Code: "insufficient_funds", Message: "Your card has insufficient funds."}
	if diff := cmp.Diff(want, declined.LastError); diff != "" || declined.Status != StatusIntentCreated || declined.ClientSecret == "" {
		t.Errorf("status %s, error want-, got+:\n%s", declined.Status, diff)
	}
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	if got := f.payment(orderID); got.LastError != nil || len(got.Declines) != 1 {
		t.Errorf("after the second card: %+v", got)
	}
}

func TestThreeDSecureRequiresAction(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_threeDSecure2Required")
	f.waitForStatus(orderID, StatusRequiresAction)
	f.expectNoSecrets(p.ClientSecret)
}

func TestExpiredOrderCancelsItsIntent(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.appendOrder(orderID, events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}})
	f.waitForStatus(orderID, StatusCancelled)
	f.expectCanceledAtStripe(p.PaymentIntent)
}

// The shopper paid, but the news has not arrived when the order expires: it is told, and the money stays reserved.
func TestExpiryKeepsAnAuthorizationThatJustArrived(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.appendOrder(orderID, events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}})
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, 1250) // the stock was still there
	f.waitForStatus(orderID, StatusCaptured)
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["refund_requested"] != 0 || got["cancelled"] != 0 {
		t.Errorf("said %v", got)
	}
}

func TestCancelledOrderReleasesTheAuthorization(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	f.appendOrder(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	f.waitForStatus(orderID, StatusCancelled)
	// Stripe tells of the release as of a refund; nothing was taken, so nothing goes back.
	f.waitUntil("the release is noted", func() bool { return f.webhooksStored() >= 3 })
	if got := f.payment(orderID); len(got.Refunds) != 0 || !got.Captured.IsZero() {
		t.Errorf("got %+v", got)
	}
}

// Row 43 of the fault matrix: the order was called off while Stripe's capture was under way in the dashboard.
func TestCaptureAfterCancellationIsRefundedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.callStripe("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
	f.appendOrder(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	f.waitForStatus(orderID, StatusRefunded)
	if err := f.stripe.SetWebhookURL(f.shopURL + "/webhooks/stripe"); err != nil { // now everything comes, late
		t.Fatal(err)
	}
	f.waitUntil("the late webhooks are noted", func() bool { return f.webhooksStored() >= 3 })
	if got := f.countByType("payments." + events.FirstPaymentID(orderID)); got["refund_requested"] != 1 || got["refunded"] != 1 || got["captured"] != 1 {
		t.Errorf("said %v", got)
	}
	list := f.callStripe("refunds?payment_intent="+p.PaymentIntent, nil)
	if refunds, _ := list["data"].([]any); len(refunds) != 1 {
		t.Errorf("at Stripe: %v", list)
	}
}

// Row 50 of the fault matrix.
func TestDashboardRefundIsRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"250"}})
	f.waitForStatus(orderID, StatusPartlyRefunded)
	f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}})
	f.waitForStatus(orderID, StatusRefunded)
	if got := f.countByType("payments." + events.FirstPaymentID(orderID))["refunded"]; got != 2 {
		t.Errorf("%d refunds said, want 2", got)
	}
}

// Row 40 of the fault matrix: the authorisation is gone when the money is to be taken.
func TestCaptureOfACancelledIntentCancelsThePayment(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.callStripe("payment_intents/"+p.PaymentIntent+"/cancel", url.Values{})
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCancelled)
	f.expectNoDeadLetters()
}

func TestRefusedIntentFailsThePayment(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID := f.requestPayment(10) // below Stripe's minimum
	f.waitForStatus(orderID, StatusFailed)
	var p PaymentBody
	if status := f.getPayment(orderID, 20, &p); status != http.StatusOK || p.Status != StatusFailed || p.LastError == nil || p.LastError.Code != "amount_too_small" {
		t.Errorf("HTTP %d %+v", status, p)
	}
}

func TestPaymentNeedsTheTokenOfItsOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, _ := f.placeOrder(1250)
	path := f.shopURL + "/api/orders/" + orderID + "/payment"
	for name, tc := range map[string]struct {
		url, authorization string
		want               int
	}{
		"Owner":         {path, "Bearer token-" + orderID, 200},
		"NoToken":       {path, "", 404},
		"WrongToken":    {path, "Bearer token-x", 404},
		"NotABearer":    {path, "token-" + orderID, 404},
		"OtherOrder":    {f.shopURL + "/api/orders/other/payment", "Bearer token-" + orderID, 404},
		"NotRequested":  {f.shopURL + "/api/orders/other/payment", "Bearer token-other", 404},
		"Wildcard":      {f.shopURL + "/api/orders/*/payment", "Bearer token-*", 404},
		"Dots":          {f.shopURL + "/api/orders/a.b/payment", "Bearer token-a.b", 404},
		"Long":          {f.shopURL + "/api/orders/" + strings.Repeat("x", 5000) + "/payment", "Bearer token-" + strings.Repeat("x", 5000), 404},
		"WaitTooLong":   {path + "?wait=31", "Bearer token-" + orderID, 422},
		"WaitNotNumber": {path + "?wait=a", "Bearer token-" + orderID, 422},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tc.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.authorization != "" {
				request.Header.Set("Authorization", tc.authorization)
			}
			if got := f.do(request, nil); got != tc.want {
				t.Errorf("HTTP %d, want %d", got, tc.want)
			}
		})
	}
}

// A request that waits is answered when the intent exists, not when its patience ends; and one whose order asks for no
// payment is answered when its patience ends.
func TestLongPollReturnsWhenTheIntentExists(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	const orderID = "waiting"
	answered := make(chan PaymentBody)
	go func() {
		var p PaymentBody
		f.getPayment(orderID, 20, &p)
		answered <- p
	}()
	f.waitUntil("somebody waits", func() bool {
		f.service.hub.mu.Lock()
		defer f.service.hub.mu.Unlock()
		return len(f.service.hub.subscribers) == 1
	})
	asked := time.Now()
	f.appendOrder(orderID, events.OrderAwaitingPayment{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID), Amount: gbp1250})
	if p := <-answered; p.ClientSecret == "" || time.Since(asked) > 10*time.Second {
		t.Errorf("after %s: %+v", time.Since(asked), p)
	}
	if status := f.getPayment("nobody", 1, nil); status != http.StatusNotFound {
		t.Errorf("HTTP %d", status)
	}
}

// Who waits when the process stops is answered at once, so that stopping does not take half a minute.
func TestStoppingEndsLongPolls(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	done := make(chan error, 1)
	go func() {
		_, err := f.service.awaitIntent(t.Context(), "waiting", time.Hour)
		done <- err
	}()
	f.waitUntil("somebody waits", func() bool {
		f.service.hub.mu.Lock()
		defer f.service.hub.mu.Unlock()
		return len(f.service.hub.subscribers) == 1
	})
	f.stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("still waiting")
	}
}

// A process that stops gives up what it has not answered in time. The shopper is still there, and Stripe too: both are
// told when to try again.
func TestWhatIsGivenUpMayBeAskedAgain(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	err := (&Service{logger: slog.New(slog.DiscardHandler)}).problem(stopped, stopped.Err())
	var status huma.StatusError
	var headers huma.HeadersError
	if !errors.As(err, &status) || status.GetStatus() != http.StatusServiceUnavailable || !errors.As(err, &headers) || headers.GetHeaders().Get("Retry-After") == "" {
		t.Errorf("answered %v; want 503 and when to try again", err)
	}
}

func TestRoutesAreDocumented(t *testing.T) {
	t.Parallel()
	api := humago.New(http.NewServeMux(), huma.DefaultConfig("payments", "1"))
	s := &Service{}
	s.Register(api)
	paths := api.OpenAPI().Paths
	if paths["/webhooks/stripe"].Post == nil || paths["/api/orders/{id}/payment"].Get == nil {
		t.Errorf("documented are %v", paths)
	}
}

// A process that did not create the intent asks Stripe for its secret.
func TestMissingSecretIsRetrievedFromStripe(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.service.secrets.Purge()
	var again PaymentBody
	if f.getPayment(orderID, 0, &again); again.ClientSecret != p.ClientSecret || p.ClientSecret == "" {
		t.Errorf("got %q, want %q", again.ClientSecret, p.ClientSecret)
	}
}
