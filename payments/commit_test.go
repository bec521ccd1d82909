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
	"tillstream/events/log"
	"tillstream/events/worker"
)

// acceptsMoney is orders, as far as these tests need it: every authorisation is accepted, once.
func acceptsMoney(l *log.Log) []worker.Domain {
	return []worker.Domain{{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		worker.On(func(tx *log.Tx, _ events.Event, p events.PaymentAuthorized) error {
			if said, err := orders.Load(tx, p.OrderID); said != 1 || err != nil {
				return err
			}
			return orders.Append(tx, p.OrderID, events.OrderPaymentAccepted{OrderID: p.OrderID, PaymentID: p.PaymentID, Amount: p.Amount})
		}),
	}}}
}

// postAuthorized has the shopper pay and Stripe tell of it. It returns what the log holds when Stripe has its 200, from the
// event of Stripe's on.
func (w *world) postAuthorized(orderID string, p PaymentView) []events.Event {
	w.t.Helper()
	w.pay(p, "pm_card_visa")
	body := posted(p, orderID, "payment_intent.amount_capturable_updated", nil)
	if got := w.post(body, sign(body, webhookSecret, time.Now())); got != http.StatusOK {
		w.t.Fatalf("HTTP %d, want 200", got)
	}
	all := w.history()
	i := slices.IndexFunc(all, func(e events.Event) bool { return e.Type == "payments.webhook_received" })
	if i < 0 {
		w.t.Fatal("the event is not stored")
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

func TestWebhookAndWhatFollowsAreOneCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true, others: acceptsMoney})
	orderID, p := w.place(1250)
	checkOneCommit(t, w.postAuthorized(orderID, p), "payments.webhook_received", "payments.authorized", "orders.payment_accepted")
	w.untilStatus(orderID, StatusCaptured)
	w.noDeadLetters()
}

// A process that only takes webhooks decides as well: what follows in other domains is left to the processes that run them.
func TestWebhookIsDecidedWhereNoLaneRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true, others: acceptsMoney})
	orderID, p := w.place(1250)
	w.log.SetCascade(nil)
	checkOneCommit(t, w.postAuthorized(orderID, p), "payments.webhook_received", "payments.authorized")
	w.untilStatus(orderID, StatusCaptured)
	w.noDeadLetters()
}

// Every event handled again, by a worker that has no checkpoint, says nothing new and is no dead letter.
func TestTheWholeLogAgainSaysNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true})
	orderID, p := w.place(1250)
	declined := posted(p, orderID, "payment_intent.payment_failed", func(object map[string]any) {
		object["status"], object["last_payment_error"] = "requires_payment_method", map[string]any{"code": "card_declined", "charge": "ch_no"}
	})
	w.post(declined, sign(declined, webhookSecret, time.Now()))
	w.postAuthorized(orderID, p)
	w.accept(orderID, 1250)
	w.untilStatus(orderID, StatusCaptured)
	w.say(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	w.untilStatus(orderID, StatusRefunded)
	w.halt()
	before := w.history()
	for _, lane := range []string{"payments", "payments.stripe"} {
		c, err := w.log.LoadCheckpoint(t.Context(), lane)
		if err != nil || c.Position == 0 {
			t.Fatalf("checkpoint of %s: %+v, %v", lane, c, err)
		}
		c.Position, c.Read, c.State = 0, 0, nil
		if err := w.log.SaveCheckpoint(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	w.work(setup{})
	w.until("everything is handled again", func() bool {
		return !slices.ContainsFunc(w.lanes.Lanes(), func(l worker.LaneStatus) bool { return l.Position < before[len(before)-1].Sequence })
	})
	w.halt()
	if after := w.history(); len(after) != len(before) {
		t.Errorf("said again: %+v", after[len(before):])
	}
	w.noDeadLetters()
}

// While Stripe refuses the key one call at a time looks whether that is over; it is no event's fault and spends no attempt.
func TestRefusedKeyHoldsTheLane(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	w := newWorld(t, setup{front: func(bank http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !mended.Load() {
				http.Error(rw, `{"error":{"type":"invalid_request_error","message":"Invalid API Key provided"}}`, http.StatusUnauthorized)
				return
			}
			bank.ServeHTTP(rw, r)
		})
	}})
	placed := []string{w.await(1250), w.await(700)}
	w.until("the lane is on hold", func() bool { return errors.Is(w.lanes.Degraded(), worker.ErrCircuitOpen) })
	if err := w.lanes.Degraded(); !strings.Contains(err.Error(), "payments.stripe") {
		t.Errorf("on hold: %v, want payments.stripe", err)
	}
	mended.Store(true)
	for _, orderID := range placed {
		w.untilStatus(orderID, StatusIntentCreated)
	}
	w.until("the lane goes on", func() bool { return w.lanes.Degraded() == nil })
	w.noDeadLetters()
}
