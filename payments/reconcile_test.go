package payments

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"tillstream/events"
)

// Row 44 of the fault matrix: no webhook arrives at all; the reconciler brings every fact, once.
func TestReconcilerBringsWhatWebhooksMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true})
	paid, p := w.place(1250)
	declined, q := w.place(700)
	w.pay(p, "pm_card_visa")
	w.pay(q, "pm_card_chargeDeclined")
	w.skew.Store(int64(time.Minute)) // Stripe counts in seconds, and what is fresh may still be under way
	w.walk()
	w.untilStatus(paid, StatusAuthorized)
	w.until("the decline is known", func() bool { return w.payment(declined).LastError != nil })
	w.accept(paid, 1250)
	w.untilStatus(paid, StatusCaptured)
	w.ask("refunds", url.Values{"payment_intent": {p.PaymentIntent}, "amount": {"250"}})
	w.walk()
	w.untilStatus(paid, StatusPartlyRefunded)

	for range 2 {
		w.walk()
		if got := w.received(); got != 3 { // what the shop said itself (captured) was not missed
			t.Fatalf("%d events of Stripe's are in the log, want 3", got)
		}
	}
	for _, e := range w.history() {
		if webhook, ok := e.Payload.(events.WebhookReceived); ok && webhook.Via != viaReconciler {
			t.Errorf("%s came via %s", webhook.StripeType, webhook.Via)
		}
	}
	w.nothingSecret(p.ClientSecret)
}

// walk goes through Stripe's events once, as from the start of the process.
func (w *world) walk() {
	w.t.Helper()
	w.service.cursor.since = time.Time{}
	if err := w.service.walkEvents(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// After a restart nothing is remembered of what came by webhook; walking over it again still appends nothing.
func TestReconcilerRepeatsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	orderID, p := w.place(1250)
	w.pay(p, "pm_card_visa")
	w.untilStatus(orderID, StatusAuthorized)
	w.accept(orderID, 1250)
	w.untilStatus(orderID, StatusCaptured)
	w.until("both webhooks are noted", func() bool { return w.received() == 2 })
	w.service.cursor.noted.Purge()
	w.skew.Store(int64(time.Minute))
	w.walk()
	if got := w.received(); got != 2 {
		t.Errorf("%d events of Stripe's are in the log, want 2", got)
	}
	if w.service.cursor.since.IsZero() {
		t.Error("the next walk would begin at the beginning")
	}
}

// An intent that somebody else made in the same Stripe account is none of our business.
func TestReconcilerLeavesForeignIntentsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true})
	for _, metadata := range []string{"", "no-order-of-ours"} {
		form := url.Values{"amount": {"999"}, "currency": {"gbp"}, "capture_method": {"manual"}, "payment_method_types[]": {"card"},
			"confirm": {"true"}, "payment_method": {"pm_card_visa"}}
		if metadata != "" {
			form.Set("metadata[order_id]", metadata)
			form.Set("metadata[payment_id]", metadata)
		}
		if in := w.ask("payment_intents", form); in["status"] != "requires_capture" {
			t.Fatalf("foreign intent: %v", in)
		}
	}
	w.skew.Store(int64(time.Minute))
	w.walk()
	if got := w.received(); got != 0 {
		t.Errorf("%d events of Stripe's are in the log", got)
	}
}

// What Stripe's list no longer tells, the intent itself does: quiet payments in the projection are asked about.
func TestQuietPaymentsAreAskedAbout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{deaf: true, remembers: true})
	orderID, p := w.place(1250)
	untouched, _ := w.place(300)
	w.pay(p, "pm_card_visa")
	w.until("the projection has both", func() bool {
		open, err := w.service.openPayments(t.Context(), "", time.Now().Add(time.Hour), 10)
		return err == nil && len(open) == 2
	})
	if err := w.service.askOpen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.payment(orderID).Status(); got != StatusIntentCreated {
		t.Errorf("a payment that was just heard of is already %s", got)
	}
	w.skew.Store(int64(2 * time.Minute))
	if err := w.service.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.untilStatus(orderID, StatusAuthorized)
	if got := w.payment(untouched).Status(); got != StatusIntentCreated {
		t.Errorf("a payment of which Stripe knows nothing new is %s", got)
	}
	both := []string{events.FirstPaymentID(orderID), events.FirstPaymentID(untouched)}
	slices.Sort(both)
	for after, want := range map[string][]string{"": both, both[0]: both[1:], both[1]: {}} {
		open, err := w.service.openPayments(t.Context(), after, time.Now().Add(time.Hour), 10)
		if err != nil || !slices.Equal(open, want) {
			t.Errorf("open after %q: %v, %v; want %v", after, open, err, want)
		}
	}
}
