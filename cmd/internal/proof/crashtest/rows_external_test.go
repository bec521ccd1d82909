//go:build unix

package crashtest_test

import (
	"testing"

	"tillstream/events"
)

// Row 33 of the fault matrix: the shop is killed before or after it creates or captures an intent at Stripe. It repeats the
// request under the same key or finds the result. There is one intent and one capture per order.
func TestKilledAroundStripeCall(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"payments.before_create", "payments.after_create", "payments.before_capture", "payments.after_capture"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			b := openBank(t)
			d := openSingle(t, longHold, "STRIPE_API_BASE="+b.url, "STRIPE_SECRET_KEY="+secretKey, "STRIPE_PUBLISHABLE_KEY="+publishableKey,
				"STRIPE_WEBHOOK_SECRET="+webhookSecret)
			b.deliverTo(t, d.shop.Storefront)
			c := newCrowd(t, d, "payer")
			runRound(t, c, at(t, point))
			c.checkStripeKeys(t, b)
		})
	}
}

// checkStripeKeys expects one key for the intent and one for the capture of every paid order.
func (c *crowd) checkStripeKeys(t *testing.T, b *bank) {
	t.Helper()
	created := map[string]int{} // by key
	for _, key := range b.keysOf("/v1/payment_intents") {
		created[key]++
	}
	for _, s := range payers(c.shoppers) {
		if n := created[events.FirstPaymentID(s.id)+"/create/v1"]; n == 0 {
			t.Errorf("order %s: got no intent under its key: %v", s.id, created)
		}
	}
	if orders := len(c.history(t, events.PrefixOrder, "orders.placed")); len(created) > orders {
		t.Errorf("got intents under %d keys for %d orders: %v", len(created), orders, created)
	}
	intents := map[string]string{} // by order
	for _, e := range c.history(t, events.PrefixPayment, "payments.intent_created") {
		p := e.Payload.(events.PaymentIntentCreated)
		intents[p.OrderID] = p.PaymentIntent
	}
	for _, s := range payers(c.shoppers) {
		keys := map[string]bool{}
		for _, key := range b.keysOf("/v1/payment_intents/" + intents[s.id] + "/capture") {
			keys[key] = true
		}
		if len(keys) != 1 || !keys[events.FirstPaymentID(s.id)+"/capture/v1"] {
			t.Errorf("order %s: got captures under the keys %v, want one key", s.id, keys)
		}
	}
	c.verify(t) // one intent and one capture each at Stripe
}

// Row 52 of the fault matrix: a mail whose sender is killed before it connects is sent once.
func TestKilledBeforeMailIsSent(t *testing.T) {
	t.Parallel()
	for _, copies := range mailsAfterKill(t, "notifications.before_smtp") {
		if copies != 1 {
			t.Errorf("got %d copies of the mail, want 1", copies)
		}
	}
}

// Row 53 of the fault matrix: when the sender is killed after the last byte of a mail, the result is unknown. The mail is sent
// again under the same Message-ID, so that a mail program can show it once.
func TestKilledAfterMailIsSent(t *testing.T) {
	t.Parallel()
	for id, copies := range mailsAfterKill(t, "notifications.after_data") {
		if copies != 2 {
			t.Errorf("mail %s: got %d copies, want 2", id, copies)
		}
	}
}

// mailsAfterKill lets the shop be killed at a failpoint of a purchase, and counts its mails by Message-ID.
func mailsAfterKill(t *testing.T, point string) map[string]int {
	t.Helper()
	c := newCrowd(t, openSingle(t, longHold), "reader")
	c.deployment.arm(t, at(t, point))
	reader := c.add(pays)
	victim := c.deployment.awaitTriggered(t)
	awaitDeath(t, victim)
	victim.start(t)
	c.waitFor(t, c.shoppers)
	c.awaitMailSent(t, reader)
	c.finish(t)
	got := c.mails(t)[reader.address()]
	if len(got) != 1 {
		t.Errorf("got mails with the ids %v, want one", got)
	}
	sending, sent := c.history(t, events.PrefixNotification, "notifications.sending"), c.history(t, events.PrefixNotification, "notifications.sent")
	for _, copies := range got {
		if len(sending) != copies || len(sent) != 1 {
			t.Errorf("log: got %d attempts and %d sent, want %d and 1", len(sending), len(sent), copies)
		}
	}
	return got
}
