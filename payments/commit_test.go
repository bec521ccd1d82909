package payments

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// acceptPayments is a minimal orders domain: it accepts every authorization once.
func acceptPayments(l *eventlog.Log) []worker.Domain {
	return []worker.Domain{{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentAuthorized) error {
			if revision, err := orders.Load(tx, p.OrderID); revision != 1 || err != nil {
				return err
			}
			return orders.Append(tx, p.OrderID, events.OrderPaymentAccepted{OrderID: p.OrderID, PaymentID: p.PaymentID, Amount: p.Amount})
		}),
	}}}
}

// postAuthorized pays as the shopper and posts the webhook about it. It returns the events that the log has when the webhook is
// answered, from the webhook on.
func (f *fixture) postAuthorized(orderID string, p PaymentBody) []events.Event {
	f.t.Helper()
	f.pay(p, "pm_card_visa")
	body := webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)
	if got := f.postWebhook(body, sign(body, webhookSecret, time.Now())); got != http.StatusOK {
		f.t.Fatalf("webhook: HTTP %d, want 200", got)
	}
	all := f.history()
	i := slices.IndexFunc(all, func(e events.Event) bool { return e.Type == "payments.webhook_received" })
	if i < 0 {
		f.t.Fatal("the log has no payments.webhook_received, want one")
	}
	return all[i:]
}

// checkOneCommit checks the types of the first events, that all have the same time, and that each is caused by the one before it.
func checkOneCommit(t *testing.T, appended []events.Event, types ...string) {
	t.Helper()
	var got []string
	for i, e := range appended[:min(len(appended), len(types))] {
		got = append(got, e.Type)
		if i > 0 && (e.CausationID != appended[i-1].ID || !e.Time.Equal(appended[0].Time)) {
			t.Errorf("%s: got time %s and cause %q, want %s and %q", e.Type, e.Time, e.CausationID, appended[0].Time, appended[i-1].ID)
		}
	}
	if diff := cmp.Diff(types, got); diff != "" {
		t.Errorf("events of the commit, want-, got+:\n%s", diff)
	}
}

func TestWebhookAndItsCascadeAreOneCommit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true, domains: acceptPayments})
	orderID, p := f.placeOrder(1250)
	checkOneCommit(t, f.postAuthorized(orderID, p), "payments.webhook_received", "payments.authorized", "orders.payment_accepted")
	f.waitForStatus(orderID, StatusCaptured)
	f.expectNoDeadLetters()
}

// A process that only receives webhooks decides about payments, too. The processes that run the other domains continue the
// cascade.
func TestWebhookIsDecidedWhereNoLaneRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true, domains: acceptPayments})
	orderID, p := f.placeOrder(1250)
	f.log.SetCascade(nil)
	checkOneCommit(t, f.postAuthorized(orderID, p), "payments.webhook_received", "payments.authorized")
	f.waitForStatus(orderID, StatusCaptured)
	f.expectNoDeadLetters()
}

// A worker without checkpoints handles every event again. It appends nothing and makes no dead letter.
func TestHandlingTheLogAgainAppendsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	declined := webhookBody(p, orderID, "payment_intent.payment_failed", func(object map[string]any) {
		object["status"], object["last_payment_error"] = "requires_payment_method", map[string]any{"code": "card_declined", "charge": "ch_no"}
	})
	f.postWebhook(declined, sign(declined, webhookSecret, time.Now()))
	f.postAuthorized(orderID, p)
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	f.cancelOrder(orderID)
	f.waitForStatus(orderID, StatusRefunded)
	f.stopWorker()
	before := f.history()
	for _, lane := range []string{"payments", "payments.stripe"} {
		c, err := f.log.LoadCheckpoint(t.Context(), lane)
		if err != nil || c.Position == 0 {
			t.Fatalf("checkpoint of %s: %+v, %v", lane, c, err)
		}
		c.Position, c.Read, c.State = 0, 0, nil
		if err := f.log.SaveCheckpoint(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	f.startWorker(fixtureOptions{})
	f.waitUntil("every lane has handled the log again", func() bool {
		return !slices.ContainsFunc(f.worker.Lanes(), func(l worker.LaneStatus) bool { return l.Position < before[len(before)-1].Sequence })
	})
	f.stopWorker()
	if after := f.history(); len(after) != len(before) {
		t.Errorf("got new events %+v, want none", after[len(before):])
	}
	f.expectNoDeadLetters()
}

// While Stripe refuses the key, the lane tries one call at a time and makes no dead letter.
func TestRefusedKeyOpensTheCircuit(t *testing.T) {
	t.Parallel()
	var keyAccepted atomic.Bool
	f := newFixture(t, fixtureOptions{proxy: func(stripe http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !keyAccepted.Load() {
				http.Error(rw, `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided"}}`, http.StatusUnauthorized)
				return
			}
			stripe.ServeHTTP(rw, r)
		})
	}})
	placed := []string{f.requestPayment(1250), f.requestPayment(700)}
	f.waitUntil("the circuit is open", func() bool { return errors.Is(f.worker.Degraded(), worker.ErrCircuitOpen) })
	if err := f.worker.Degraded(); !strings.Contains(err.Error(), "payments.stripe") {
		t.Errorf("Degraded: got %v, want it to name payments.stripe", err)
	}
	keyAccepted.Store(true)
	for _, orderID := range placed {
		f.waitForStatus(orderID, StatusIntentCreated)
	}
	f.waitUntil("the circuit is closed", func() bool { return f.worker.Degraded() == nil })
	f.expectNoDeadLetters()
}
