package payments

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/payments/sandbox"
)

// walkOn goes through what Stripe lists since the last walk, as the running process does a while later.
func (w *world) walkOn(later time.Duration) {
	w.t.Helper()
	w.skew.Add(int64(later))
	if err := w.service.walkEvents(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// While no webhook arrives staff take the money in Stripe's dashboard and send it back. The list tells of the refund
// first, when nobody here knows of any money yet.
func TestRefundOfACaptureThatWasMissedToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true})
	orderID, p := w.place(1250)
	w.pay(p, "pm_card_visa")
	w.ask("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
	w.ask("refunds", url.Values{"payment_intent": {p.PaymentIntent}})
	w.walkOn(5 * time.Minute)
	w.until("the capture is known", func() bool { return !w.payment(orderID).Captured.IsZero() })
	w.walkOn(5 * time.Minute)
	w.untilStatus(orderID, StatusRefunded)
}

// The first webhook after a start says nothing about those before it, which nobody was there to hear.
func TestFirstWebhookHidesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	orderID, p := w.place(1250)
	w.pay(p, "pm_card_visa")
	w.untilStatus(orderID, StatusAuthorized)
	since, err := w.service.walkFrom(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := w.log.Now().Add(-reconcileKept + time.Hour); since.After(want) {
		t.Errorf("the first walk begins at %s, want %s or before: no webhook was noted before this process", since, want)
	}
}

// A process that starts goes on from the shop's last walk, whatever webhooks have come since: they say nothing about those
// that nobody was there to hear.
func TestSuccessorGoesOnFromTheLastWalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true})
	first, p := w.place(700)
	w.pay(p, "pm_card_visa")
	w.walkOn(time.Minute)
	w.untilStatus(first, StatusAuthorized)
	walked := time.Now()
	missed, q := w.place(1250)
	w.pay(q, "pm_card_visa")
	w.skew.Add(int64(3 * time.Hour))
	body := posted(p, first, "payment_intent.amount_capturable_updated", nil)
	if got := w.post(body, sign(body, webhookSecret, w.log.Now())); got != http.StatusOK {
		t.Fatalf("HTTP %d, want 200", got)
	}
	successor, err := New(w.service.config)
	if err != nil {
		t.Fatal(err)
	}
	since, err := successor.walkFrom(t.Context())
	if err != nil || since.After(walked) || since.Before(walked.Add(-2*time.Hour)) {
		t.Errorf("the first walk of the next process begins at %s, %v; the last one ended at %s", since, err, walked)
	}
	if err := successor.walkEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.untilStatus(missed, StatusAuthorized)
}

// Row 62 of the fault matrix: the shop's clock is an hour fast: signatures look too old, so no webhook is taken, and
// only the list is left. What is created after a walk must not count as older than it.
func TestFastClockHidesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true})
	first, p := w.place(700)
	w.pay(p, "pm_card_visa")
	w.walkOn(time.Hour)
	w.untilStatus(first, StatusAuthorized)
	second, q := w.place(1250)
	w.pay(q, "pm_card_visa")
	w.walkOn(time.Minute)
	w.untilStatus(second, StatusAuthorized)
}

// An event whose intent Stripe does not show is one for staff, and no reason to look at none of the others.
func TestOneOddEventDoesNotStopTheWalk(t *testing.T) {
	t.Parallel()
	var hidden atomic.Value
	hidden.Store("")
	w := newWorld(t, setup{deaf: true, intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		if id, _ := hidden.Load().(string); id != "" && strings.HasSuffix(r.Path, id) {
			return failure(http.StatusNotFound, "resource_missing")
		}
		return work()
	}})
	orderID, p := w.place(1250)
	w.pay(p, "pm_card_visa")
	foreign := w.ask("payment_intents", url.Values{"amount": {"999"}, "currency": {"gbp"}, "payment_method_types[]": {"card"},
		"confirm": {"true"}, "payment_method": {"pm_card_visa"}})
	id, _ := foreign["id"].(string)
	w.ask("refunds", url.Values{"payment_intent": {id}})
	hidden.Store(id)
	unreadable := events.WebhookReceived{StripeEvent: "evt_1", StripeType: intentTypes[0], Body: []byte(`{"data":{"object":{"amount":"much"}}}`)}
	if news, err := w.service.isNews(t.Context(), unreadable); !news || err != nil {
		t.Errorf("an event that cannot be read: news %t, %v; want it to be stored and to become a dead letter", news, err)
	}
	w.walkOn(time.Minute)
	w.untilStatus(orderID, StatusAuthorized)
	w.until("it is a dead letter", func() bool { return len(w.deadLetters()) > 0 })
}

// A payment whose history cannot be read is one for staff, and no reason to look at none of the others.
func TestOneUnreadablePaymentDoesNotStopTheWalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true})
	sound, p := w.place(1250)
	w.pay(p, "pm_card_visa")
	broken, q := w.place(700)
	w.pay(q, "pm_card_visa")
	m, err := events.Encode(events.Event{ID: "newer", Source: "test", Time: time.Now(), Subject: events.PrefixPayment + events.FirstPaymentID(broken), Revision: 3,
		Payload: events.PaymentProcessing{OrderID: broken, PaymentID: events.FirstPaymentID(broken)}})
	if err != nil {
		t.Fatal(err)
	}
	m.Header.Set(events.HeaderVersion, "99")
	if _, err := w.log.JetStream().PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	body := posted(q, broken, "payment_intent.amount_capturable_updated", nil)
	if got := w.post(body, sign(body, webhookSecret, time.Now())); got != http.StatusOK {
		t.Errorf("HTTP %d, want 200", got)
	}
	w.until("its event is a dead letter", func() bool {
		return slices.ContainsFunc(w.deadLetters(), func(d events.DeadLettered) bool { return strings.Contains(d.Error, "unreadable") })
	})
	if err := w.service.ask(t.Context(), broken); err != nil {
		t.Errorf("asking about it: %v", err)
	}
	w.walkOn(time.Minute)
	w.untilStatus(sound, StatusAuthorized)
}
