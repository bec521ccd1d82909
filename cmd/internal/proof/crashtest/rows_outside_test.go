//go:build unix

package crashtest_test

import (
	"testing"

	"tillstream/events"
)

// Row 33 of the fault matrix: killed before or after Stripe is asked for an intent or for the money, the shop asks again
// by the same key or finds what there is. There is one intent per order, and one capture.
func TestKilledWhileStripeIsAsked(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"payments.before_create", "payments.after_create", "payments.before_capture", "payments.after_capture"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			b := openBank(t)
			w := openSingle(t, patiently, "STRIPE_URL="+b.url, "STRIPE_SECRET_KEY="+secretKey, "STRIPE_PUBLISHABLE_KEY="+publishableKey,
				"STRIPE_WEBHOOK_SECRET="+webhookSecret)
			b.deliverTo(t, w.shop.Storefront)
			c := openDoors(t, w, "payer")
			endure(t, c, at(t, moment))
			c.chargedOnce(t, b)
		})
	}
}

// chargedOnce expects of everybody who paid that the bank was asked for one intent by one key, and for the money by one.
func (c *crowd) chargedOnce(t *testing.T, b *bank) {
	t.Helper()
	created := map[string]int{} // by key
	for _, key := range b.asked("/v1/payment_intents") {
		created[key]++
	}
	for _, s := range payers(c.shoppers) {
		if n := created[events.FirstPaymentID(s.id)+"/create/v1"]; n == 0 {
			t.Errorf("no intent was asked for by the key of order %s: %v", s.id, created)
		}
	}
	if orders := len(c.facts(t, events.PrefixOrder, "orders.placed")); len(created) > orders {
		t.Errorf("intents were asked for by %d keys for %d orders: %v", len(created), orders, created)
	}
	intents := map[string]string{} // order → intent
	for _, e := range c.facts(t, events.PrefixPayment, "payments.intent_created") {
		p := e.Payload.(events.PaymentIntentCreated)
		intents[p.OrderID] = p.PaymentIntent
	}
	for _, s := range payers(c.shoppers) {
		keys := map[string]bool{}
		for _, key := range b.asked("/v1/payment_intents/" + intents[s.id] + "/capture") {
			keys[key] = true
		}
		if len(keys) != 1 || !keys[events.FirstPaymentID(s.id)+"/capture/v1"] {
			t.Errorf("the money for order %s was asked for by the keys %v", s.id, keys)
		}
	}
	c.verify(t) // one intent and one capture each, as Stripe has it
}

// Row 52 of the fault matrix: a mail whose sender is killed before anybody was dialled is sent once.
func TestKilledBeforeTheMailIsSent(t *testing.T) {
	t.Parallel()
	for _, copies := range mailsAfter(t, "notifications.before_smtp") {
		if copies != 1 {
			t.Errorf("the mail was sent %d times", copies)
		}
	}
}

// Row 53 of the fault matrix: whether a mail was taken is not known when its sender is killed after its last byte. It is
// sent again, with the Message-ID that it had; the shopper's program shows it once.
func TestKilledAfterTheMailIsSent(t *testing.T) {
	t.Parallel()
	for id, copies := range mailsAfter(t, "notifications.after_data") {
		if copies != 2 {
			t.Errorf("the mail %s is in the box %d times, want it twice", id, copies)
		}
	}
}

// mailsAfter has somebody buy who makes the shop die at a moment, and counts their mails by Message-ID.
func mailsAfter(t *testing.T, moment string) map[string]int {
	t.Helper()
	c := openDoors(t, openSingle(t, patiently), "reader")
	c.world.lay(t, at(t, moment))
	reader := c.enter(pays)
	hurt := c.world.awaitSprung(t)
	dead(t, hurt)
	hurt.start(t)
	c.waitFor(t, c.shoppers)
	c.settledMail(t, reader)
	c.close(t)
	got := c.mails(t)[reader.address()]
	if len(got) != 1 {
		t.Errorf("there are mails with the ids %v, want one", got)
	}
	sending, sent := c.facts(t, events.PrefixNotification, "notifications.sending"), c.facts(t, events.PrefixNotification, "notifications.sent")
	for _, copies := range got {
		if len(sending) != copies || len(sent) != 1 {
			t.Errorf("the log knows of %d attempts, of which %d are known to have gone well; the box has %d copies", len(sending), len(sent), copies)
		}
	}
	return got
}
