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

// Row 44 of the fault matrix: no webhook arrives at all; the reconciler brings every fact, once.
func TestReconcilerStoresMissedEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	paid, p := f.placeOrder(1250)
	declined, q := f.placeOrder(700)
	f.pay(p, "pm_card_visa")
	f.pay(q, "pm_card_chargeDeclined")
	f.clockOffset.Store(int64(time.Minute)) // Stripe counts in seconds, and what is fresh may still be under way
	f.reconcileFromStart()
	f.waitForStatus(paid, StatusAuthorized)
	f.waitUntil("the decline is known", func() bool { return f.payment(declined).LastError != nil })
	f.acceptPayment(paid, 1250)
	f.waitForStatus(paid, StatusCaptured)
	f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"250"}})
	f.reconcileFromStart()
	f.waitForStatus(paid, StatusPartlyRefunded)

	for range 2 {
		f.reconcileFromStart()
		if got := f.webhooksStored(); got != 3 { // what the shop said itself (captured) was not missed
			t.Fatalf("%d events of Stripe's are in the log, want 3", got)
		}
	}
	for _, e := range f.history() {
		if webhook, ok := e.Payload.(events.WebhookReceived); ok && webhook.Via != viaReconciler {
			t.Errorf("%s came via %s", webhook.StripeType, webhook.Via)
		}
	}
	f.expectNoSecrets(p.ClientSecret)
}

// walk goes through Stripe's events once, as from the start of the process.
func (f *fixture) reconcileFromStart() {
	f.t.Helper()
	f.service.cursor.since = time.Time{}
	if err := f.service.reconcileEvents(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// After a restart nothing is remembered of what came by webhook; walking over it again still appends nothing.
func TestReconcilerAppendsNothingTwice(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	f.waitUntil("both webhooks are noted", func() bool { return f.webhooksStored() == 2 })
	f.service.cursor.stored.Purge()
	f.clockOffset.Store(int64(time.Minute))
	f.reconcileFromStart()
	if got := f.webhooksStored(); got != 2 {
		t.Errorf("%d events of Stripe's are in the log, want 2", got)
	}
	if f.service.cursor.since.IsZero() {
		t.Error("the next walk would begin at the beginning")
	}
}

// An intent that somebody else made in the same Stripe account is none of our business.
func TestReconcilerIgnoresForeignIntents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	for _, metadata := range []string{"", "no-order-of-ours"} {
		form := url.Values{"amount": {"999"}, "currency": {"gbp"}, "capture_method": {"manual"}, "payment_method_types[]": {"card"},
			"confirm": {"true"}, "payment_method": {"pm_card_visa"}}
		if metadata != "" {
			form.Set("metadata[order_id]", metadata)
			form.Set("metadata[payment_id]", metadata)
		}
		if in := f.callStripe("payment_intents", form); in["status"] != "requires_capture" {
			t.Fatalf("foreign intent: %v", in)
		}
	}
	f.clockOffset.Store(int64(time.Minute))
	f.reconcileFromStart()
	if got := f.webhooksStored(); got != 0 {
		t.Errorf("%d events of Stripe's are in the log", got)
	}
}

// What Stripe's list no longer tells, the intent itself does: quiet payments in the projection are asked about.
func TestQuietPaymentsAreRetrieved(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true, database: true})
	orderID, p := f.placeOrder(1250)
	untouched, _ := f.placeOrder(300)
	f.pay(p, "pm_card_visa")
	f.waitUntil("the projection has both", func() bool {
		open, err := f.service.openPayments(t.Context(), "", time.Now().Add(time.Hour), 10)
		return err == nil && len(open) == 2
	})
	if err := f.service.reconcileOpen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.payment(orderID).Status(); got != StatusIntentCreated {
		t.Errorf("a payment that was just heard of is already %s", got)
	}
	f.clockOffset.Store(int64(2 * time.Minute))
	if err := f.service.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.waitForStatus(orderID, StatusAuthorized)
	if got := f.payment(untouched).Status(); got != StatusIntentCreated {
		t.Errorf("a payment of which Stripe knows nothing new is %s", got)
	}
	both := []string{events.FirstPaymentID(orderID), events.FirstPaymentID(untouched)}
	slices.Sort(both)
	for after, want := range map[string][]string{"": both, both[0]: both[1:], both[1]: {}} {
		open, err := f.service.openPayments(t.Context(), after, time.Now().Add(time.Hour), 10)
		if err != nil || !slices.Equal(open, want) {
			t.Errorf("open after %q: %v, %v; want %v", after, open, err, want)
		}
	}
}

// reconcileAfter goes through what Stripe lists since the last walk, as the running process does a while later.
func (f *fixture) reconcileAfter(later time.Duration) {
	f.t.Helper()
	f.clockOffset.Add(int64(later))
	if err := f.service.reconcileEvents(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// While no webhook arrives staff take the money in Stripe's dashboard and send it back. The list tells of the refund
// first, when nobody here knows of any money yet.
func TestReconcilerRecordsAMissedCaptureAndItsRefund(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.callStripe("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
	f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}})
	f.reconcileAfter(5 * time.Minute)
	f.waitUntil("the capture is known", func() bool { return !f.payment(orderID).Captured.IsZero() })
	f.reconcileAfter(5 * time.Minute)
	f.waitForStatus(orderID, StatusRefunded)
}

// The first webhook after a start says nothing about those before it, which nobody was there to hear.
func TestFirstWebhookDoesNotShortenTheFirstReconciliation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	since, err := f.service.nextSince(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := f.log.Now().Add(-stripeRetention + time.Hour); since.After(want) {
		t.Errorf("the first walk begins at %s, want %s or before: no webhook was noted before this process", since, want)
	}
}

// A process that starts goes on from the shop's last walk, whatever webhooks have come since: they say nothing about those
// that nobody was there to hear.
func TestSuccessorReconcilesFromTheSavedProgress(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	first, p := f.placeOrder(700)
	f.pay(p, "pm_card_visa")
	f.reconcileAfter(time.Minute)
	f.waitForStatus(first, StatusAuthorized)
	walked := time.Now()
	missed, q := f.placeOrder(1250)
	f.pay(q, "pm_card_visa")
	f.clockOffset.Add(int64(3 * time.Hour))
	body := webhookBody(p, first, "payment_intent.amount_capturable_updated", nil)
	if got := f.postWebhook(body, sign(body, webhookSecret, f.log.Now())); got != http.StatusOK {
		t.Fatalf("HTTP %d, want 200", got)
	}
	successor, err := New(f.service.config)
	if err != nil {
		t.Fatal(err)
	}
	since, err := successor.nextSince(t.Context())
	if err != nil || since.After(walked) || since.Before(walked.Add(-2*time.Hour)) {
		t.Errorf("the first walk of the next process begins at %s, %v; the last one ended at %s", since, err, walked)
	}
	if err := successor.reconcileEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.waitForStatus(missed, StatusAuthorized)
}

// Row 62 of the fault matrix: the shop's clock is an hour fast: signatures look too old, so no webhook is taken, and
// only the list is left. What is created after a walk must not count as older than it.
func TestFastClockSkipsNoEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	first, p := f.placeOrder(700)
	f.pay(p, "pm_card_visa")
	f.reconcileAfter(time.Hour)
	f.waitForStatus(first, StatusAuthorized)
	second, q := f.placeOrder(1250)
	f.pay(q, "pm_card_visa")
	f.reconcileAfter(time.Minute)
	f.waitForStatus(second, StatusAuthorized)
}

// An event whose intent Stripe does not show is one for staff, and no reason to look at none of the others.
func TestUnreadableEventDoesNotStopTheReconciler(t *testing.T) {
	t.Parallel()
	var hidden atomic.Value
	hidden.Store("")
	f := newFixture(t, fixtureOptions{noWebhooks: true, intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		if id, _ := hidden.Load().(string); id != "" && strings.HasSuffix(r.Path, id) {
			return stripeFailure(http.StatusNotFound, "resource_missing")
		}
		return work()
	}})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	foreign := f.callStripe("payment_intents", url.Values{"amount": {"999"}, "currency": {"gbp"}, "payment_method_types[]": {"card"},
		"confirm": {"true"}, "payment_method": {"pm_card_visa"}})
	id, _ := foreign["id"].(string)
	f.callStripe("refunds", url.Values{"payment_intent": {id}})
	hidden.Store(id)
	unreadable := events.WebhookReceived{StripeEvent: "evt_1", StripeType: intentTypes[0], Body: []byte(`{"data":{"object":{"amount":"much"}}}`)}
	if news, err := f.service.addsFacts(t.Context(), unreadable); !news || err != nil {
		t.Errorf("an event that cannot be read: news %t, %v; want it to be stored and to become a dead letter", news, err)
	}
	f.reconcileAfter(time.Minute)
	f.waitForStatus(orderID, StatusAuthorized)
	f.waitUntil("it is a dead letter", func() bool { return len(f.deadLetters()) > 0 })
}

// A payment whose history cannot be read is one for staff, and no reason to look at none of the others.
func TestUnreadablePaymentDoesNotStopTheReconciler(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	sound, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	broken, q := f.placeOrder(700)
	f.pay(q, "pm_card_visa")
	m, err := events.Encode(events.Event{ID: "newer", Source: "test", Time: time.Now(), Subject: events.PrefixPayment + events.FirstPaymentID(broken), Revision: 3,
		Payload: events.PaymentProcessing{OrderID: broken, PaymentID: events.FirstPaymentID(broken)}})
	if err != nil {
		t.Fatal(err)
	}
	m.Header.Set(events.HeaderVersion, "99")
	if _, err := f.log.JetStream().PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	body := webhookBody(q, broken, "payment_intent.amount_capturable_updated", nil)
	if got := f.postWebhook(body, sign(body, webhookSecret, time.Now())); got != http.StatusOK {
		t.Errorf("HTTP %d, want 200", got)
	}
	f.waitUntil("its event is a dead letter", func() bool {
		return slices.ContainsFunc(f.deadLetters(), func(d events.DeadLettered) bool { return strings.Contains(d.Error, "unreadable") })
	})
	if err := f.service.reconcilePayment(t.Context(), broken); err != nil {
		t.Errorf("asking about it: %v", err)
	}
	f.reconcileAfter(time.Minute)
	f.waitForStatus(sound, StatusAuthorized)
}
