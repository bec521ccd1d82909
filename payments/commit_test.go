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

// acceptPayments is orders, as far as these tests need it: every authorisation is accepted, once.
func acceptPayments(l *eventlog.Log) []worker.Domain {
	return []worker.Domain{{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.PaymentAuthorized) error {
			if said, err := orders.Load(tx, p.OrderID); said != 1 || err != nil {
				return err
			}
			return orders.Append(tx, p.OrderID, events.OrderPaymentAccepted{OrderID: p.OrderID, PaymentID: p.PaymentID, Amount: p.Amount})
		}),
	}}}
}

// postAuthorized has the shopper pay and Stripe tell of it. It returns what the log holds when Stripe has its 200, from the
// event of Stripe's on.
func (f *fixture) postAuthorized(orderID string, p PaymentBody) []events.Event {
	f.t.Helper()
	f.pay(p, "pm_card_visa")
	body := webhookBody(p, orderID, "payment_intent.amount_capturable_updated", nil)
	if got := f.postWebhook(body, sign(body, webhookSecret, time.Now())); got != http.StatusOK {
		f.t.Fatalf("HTTP %d, want 200", got)
	}
	all := f.history()
	i := slices.IndexFunc(all, func(e events.Event) bool { return e.Type == "payments.webhook_received" })
	if i < 0 {
		f.t.Fatal("the event is not stored")
	}
	return all[i:]
}

// checkOneCommit expects that the first events are of some types, were decided at one moment, and each because of the one
// before it.
func checkOneCommit(t *testing.T, said []events.Event, types ...string) {
	t.Helper()
	var got []string
	for i, e := range said[:min(len(said), len(types))] {
		got = append(got, e.Type)
		if i > 0 && (e.CausationID != said[i-1].ID || !e.Time.Equal(said[0].Time)) {
			t.Errorf("%s was decided at %s because of %q; want it with %s at %s", e.Type, e.Time, e.CausationID, said[i-1].Type, said[0].Time)
		}
	}
	if diff := cmp.Diff(types, got); diff != "" {
		t.Errorf("stored with the event of Stripe's, want-, got+:\n%s", diff)
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

// A process that only takes webhooks decides as well: what follows in other domains is left to the processes that run them.
func TestWebhookIsDecidedWhereNoLaneRuns(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true, domains: acceptPayments})
	orderID, p := f.placeOrder(1250)
	f.log.SetCascade(nil)
	checkOneCommit(t, f.postAuthorized(orderID, p), "payments.webhook_received", "payments.authorized")
	f.waitForStatus(orderID, StatusCaptured)
	f.expectNoDeadLetters()
}

// Every event handled again, by a worker that has no checkpoint, says nothing new and is no dead letter.
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
	f.appendOrder(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
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
	f.waitUntil("everything is handled again", func() bool {
		return !slices.ContainsFunc(f.worker.Lanes(), func(l worker.LaneStatus) bool { return l.Position < before[len(before)-1].Sequence })
	})
	f.stopWorker()
	if after := f.history(); len(after) != len(before) {
		t.Errorf("said again: %+v", after[len(before):])
	}
	f.expectNoDeadLetters()
}

// While Stripe refuses the key one call at a time looks whether that is over; it is no event's fault and spends no attempt.
func TestRefusedKeyOpensTheCircuit(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	f := newFixture(t, fixtureOptions{proxy: func(bank http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !mended.Load() {
				http.Error(rw, `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided"}}`, http.StatusUnauthorized)
				return
			}
			bank.ServeHTTP(rw, r)
		})
	}})
	placed := []string{f.requestPayment(1250), f.requestPayment(700)}
	f.waitUntil("the lane is on hold", func() bool { return errors.Is(f.worker.Degraded(), worker.ErrCircuitOpen) })
	if err := f.worker.Degraded(); !strings.Contains(err.Error(), "payments.stripe") {
		t.Errorf("on hold: %v, want payments.stripe", err)
	}
	mended.Store(true)
	for _, orderID := range placed {
		f.waitForStatus(orderID, StatusIntentCreated)
	}
	f.waitUntil("the lane goes on", func() bool { return f.worker.Degraded() == nil })
	f.expectNoDeadLetters()
}
