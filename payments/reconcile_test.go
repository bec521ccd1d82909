package payments

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Row 44 of the fault matrix: no webhook arrives, and the reconciler stores every event once.
func TestReconcilerStoresMissedEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	paid, p := f.placeOrder(1250)
	declined, q := f.placeOrder(700)
	f.pay(p, "pm_card_visa")
	f.pay(q, "pm_card_chargeDeclined")
	f.clockOffset.Store(int64(time.Minute)) // the reconciler skips events of the last seconds, whose webhooks may still arrive
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
		if got := f.webhooksStored(); got != 3 { // not the capture, which the shop made itself
			t.Fatalf("stored webhooks: got %d, want 3", got)
		}
	}
	for _, e := range f.history() {
		if webhook, ok := e.Payload.(events.WebhookReceived); ok && webhook.Via != viaReconciler {
			t.Errorf("%s: got via %s, want %s", webhook.StripeType, webhook.Via, viaReconciler)
		}
	}
	f.expectNoSecrets(p.ClientSecret)
}

// reconcileFromStart walks Stripe's events as the first walk of a process does.
func (f *fixture) reconcileFromStart() {
	f.t.Helper()
	f.service.cursor.since = time.Time{}
	if err := f.service.reconcileEvents(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// After a restart the ids of stored webhooks are not in memory. Another walk over them still appends nothing.
func TestReconcilerAppendsNothingTwice(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	f.buy(1250)
	f.waitUntil("both webhooks are stored", func() bool { return f.webhooksStored() == 2 })
	f.service.cursor.stored.Purge()
	f.clockOffset.Store(int64(time.Minute))
	f.reconcileFromStart()
	if got := f.webhooksStored(); got != 2 {
		t.Errorf("stored webhooks: got %d, want 2", got)
	}
	if f.service.cursor.since.IsZero() {
		t.Error("cursor after the walk: got zero, want the newest event")
	}
}

// The reconciler ignores intents that another program made in the same Stripe account.
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
			t.Fatalf("foreign intent: got %v, want requires_capture", in)
		}
	}
	f.clockOffset.Store(int64(time.Minute))
	f.reconcileFromStart()
	if got := f.webhooksStored(); got != 0 {
		t.Errorf("stored webhooks: got %d, want 0", got)
	}
}

// The reconciler retrieves the intents of open payments that have not changed for a while: Stripe's list may not have their
// events any more.
func TestQuietPaymentsAreRetrieved(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true, database: true})
	orderID, p := f.placeOrder(1250)
	untouched, _ := f.placeOrder(300)
	f.pay(p, "pm_card_visa")
	f.waitUntil("the projection has both", func() bool {
		open, err := f.service.unsettledPayments(t.Context(), "", time.Now().Add(time.Hour), 10)
		return err == nil && len(open) == 2
	})
	if err := f.service.reconcileOpen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := f.payment(orderID).Status(); got != StatusIntentCreated {
		t.Errorf("payment that has just changed: got %s, want %s", got, StatusIntentCreated)
	}
	f.clockOffset.Store(int64(2 * time.Minute))
	if err := f.service.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.waitForStatus(orderID, StatusAuthorized)
	if got := f.payment(untouched).Status(); got != StatusIntentCreated {
		t.Errorf("unchanged payment: got %s, want %s", got, StatusIntentCreated)
	}
	both := []string{events.FirstPaymentID(orderID), events.FirstPaymentID(untouched)}
	slices.Sort(both)
	for after, want := range map[string][]string{"": both, both[0]: both[1:], both[1]: {}} {
		open, err := f.service.unsettledPayments(t.Context(), after, time.Now().Add(time.Hour), 10)
		if err != nil || !slices.Equal(open, want) {
			t.Errorf("open payments after %q: got %v, %v; want %v", after, open, err, want)
		}
	}
}

// reconcileAfter moves the clock and walks Stripe's events from the end of the last walk.
func (f *fixture) reconcileAfter(later time.Duration) {
	f.t.Helper()
	f.clockOffset.Add(int64(later))
	if err := f.service.reconcileEvents(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// While no webhook arrives, staff capture and refund a payment in Stripe's dashboard. The list has the refund before the capture.
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

// The first webhook after a start does not prove that the ones before it arrived.
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
		t.Errorf("start of the first walk: got %s, want %s or before", since, want)
	}
}

// A process that starts continues from the shop's last walk, even if webhooks have arrived since.
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
	config := f.service.config
	config.Registerer = nil // the metrics of a process are registered once
	successor, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	since, err := successor.nextSince(t.Context())
	if err != nil || since.After(walked) || since.Before(walked.Add(-2*time.Hour)) {
		t.Errorf("start of the successor's first walk: got %s, %v; want up to 2 h before %s", since, err, walked)
	}
	if err := successor.reconcileEvents(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.waitForStatus(missed, StatusAuthorized)
}

// Row 62 of the fault matrix: the shop's clock is an hour fast. Signatures look too old, so every webhook is refused and only
// the list is left. An event that is created after a walk must not be skipped.
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

// An event of an unreadable payment becomes a dead letter, and the walk continues.
func TestUnreadablePaymentDoesNotStopTheReconciler(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true})
	readable, p := f.placeOrder(1250)
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
		t.Errorf("webhook: HTTP %d, want 200", got)
	}
	f.waitUntil("the event is a dead letter", func() bool {
		return slices.ContainsFunc(f.deadLetters(), func(d events.DeadLettered) bool { return strings.Contains(d.Error, "unreadable") })
	})
	if err := f.service.reconcilePayment(t.Context(), broken); err != nil {
		t.Errorf("reconcile the unreadable payment: got %v, want no error", err)
	}
	f.reconcileAfter(time.Minute)
	f.waitForStatus(readable, StatusAuthorized)
}

// A refund stays pending for days, and the event about its end is missed. The reconciler asks for it until it has ended.
func TestPendingRefundsAreRetrieved(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{noWebhooks: true, database: true})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.callStripe("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
	id := events.FirstPaymentID(orderID)
	if err := f.service.reconcilePayment(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	f.waitForStatus(orderID, StatusCaptured)
	refund := f.callStripe("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"250"}})
	stripeID, _ := refund["id"].(string)
	if err := f.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		return Payments.Append(tx, id, events.PaymentRefundPending{OrderID: orderID, PaymentID: id, RefundID: stripeID, StripeRefund: stripeID,
			Amount: events.Money{Amount: 250, Currency: "GBP"}})
	}); err != nil {
		t.Fatal(err)
	}
	f.waitUntil("the projection has the refund", func() bool {
		open, err := f.service.unsettledPayments(t.Context(), "", time.Now().Add(time.Hour), 10)
		return err == nil && slices.Equal(open, []string{id})
	})
	f.clockOffset.Store(int64(2 * time.Minute))
	if err := f.service.reconcileOpen(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.waitForStatus(orderID, StatusPartlyRefunded)
	f.waitUntil("nothing is unsettled", func() bool {
		open, err := f.service.unsettledPayments(t.Context(), "", time.Now().Add(time.Hour), 10)
		return err == nil && len(open) == 0
	})
}
