package main

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// Stripe's test accounts whose bank takes a while (docs.stripe.com/payments/sepa-debit/accept-a-payment#test-integration).
const (
	paysLater  = "DE08370400440532013003"
	failsLater = "DE78370400440532013004"
)

// debitShop is a shop with a bank and one order of two mugs in euros, which a SEPA direct debit has begun to pay.
type debitShop struct {
	*testShop
	bank  *bank
	order order
	offer payment
}

// debitHold is how long the stock of unpaid orders is held. It is long enough to place an order and pay it.
const debitHold = 6 * time.Second

// acceptDebits makes a shop take debits, and look for missed events and expired orders often.
func acceptDebits(c *Config) {
	c.Methods, c.HoldFor, c.SweepEvery = []string{events.MethodCard, "sepa_debit"}, debitHold, 100*time.Millisecond
}

// startDebit opens a shop and pays an order by debit until the bank processes it.
func startDebit(t *testing.T, iban string) debitShop {
	t.Helper()
	ts, b := startShopWithBank(t, acceptDebits)
	return ts.debit(t, b, iban)
}

func (ts *testShop) debit(t *testing.T, b *bank, iban string) debitShop {
	t.Helper()
	var put struct{ SKU string }
	ts.staff(t, http.MethodPut, "/items/MUG", map[string]any{"title": "A mug", "on_hand": 10, "price": events.Money{Amount: 1250, Currency: "EUR"}}, &put)
	d := debitShop{testShop: ts, bank: b, order: ts.place(t, cart("ada", line{"MUG", 2}))}
	d.offer = ts.checkout(t, d.order)
	form := url.Values{"client_secret": {d.offer.ClientSecret}, "return_url": {ts.Storefront + "/back"}, "payment_method_data[type]": {"sepa_debit"},
		"payment_method_data[sepa_debit][iban]": {iban}, "payment_method_data[billing_details][name]": {"Ada"}, "payment_method_data[billing_details][email]": {d.order.Email}}
	var in intent
	ts.stripe(t, http.MethodPost, "/v1/payment_intents/"+d.offer.Intent+"/confirm", d.offer.PublishableKey, form).into(t, http.StatusOK, &in)
	if in.Status != "processing" {
		t.Fatalf("intent status after the debit = %q, want processing", in.Status)
	}
	d.deadlinesBecome(t, events.DeadlineProcessing)
	if now := ts.payment(t, d.order); now.Status != "processing" {
		t.Errorf("payment status = %q, want processing", now.Status)
	}
	return d
}

// deadlinesBecome waits until the deadline of the order was changed for these reasons, and checks each new one.
func (d debitShop) deadlinesBecome(t *testing.T, want ...string) {
	t.Helper()
	lengths := map[string]time.Duration{events.DeadlineProcessing: events.ProcessingTime("sepa_debit"), events.DeadlineProcessingFailed: debitHold}
	var got []string
	waitFor(t, "the deadline follows the bank", func() bool {
		got = nil
		for _, e := range d.history(t, events.PrefixOrder+d.order.ID) {
			if changed, ok := e.Payload.(events.OrderDeadlineChanged); ok {
				got = append(got, changed.Reason)
				if held := changed.ExpiresAt.Sub(e.Time); (held - lengths[changed.Reason]).Abs() > time.Second {
					t.Errorf("the order is held for %s because of %s, want %s", held, changed.Reason, lengths[changed.Reason])
				}
			}
		}
		return len(got) >= len(want)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons of the deadlines (-want +got):\n%s", diff)
	}
}

// outlivesHold waits until an order that was placed later has expired, and expects that this one is still held.
func (d debitShop) outlivesHold(t *testing.T) {
	t.Helper()
	d.becomes(t, d.place(t, cart("idle", line{"MUG", 1})), "expired")
	if now := d.read(t, d.order); now.Status != "awaiting_payment" || !now.ExpiresAt.After(time.Now().Add(20*24*time.Hour)) {
		t.Errorf("order after HOLD_FOR = %s until %s, want it held while the bank processes the payment", now.Status, now.ExpiresAt)
	}
	d.stockBecomes(t, "MUG", level{10, 8, 2})
	d.verify(t, d.order.ID)
}

// bankAnswers lets three days pass at the bank.
func (d debitShop) bankAnswers(t *testing.T) {
	t.Helper()
	if _, err := d.bank.server.Advance(72 * time.Hour); err != nil {
		t.Fatal(err)
	}
}

// cancelled cancels the order while the bank processes the payment. Stripe refuses to cancel the intent then.
func (d debitShop) cancelled(t *testing.T) {
	t.Helper()
	var now order
	d.cancel(t, d.order).into(t, http.StatusOK, &now)
	d.stockBecomes(t, "MUG", level{10, 10, 0})
	waitFor(t, "Stripe has refused to cancel the intent", func() bool { return d.bank.kept.Load() > 0 })
	if now := d.payment(t, d.order); now.Status != "processing" {
		t.Errorf("payment of the cancelled order: got %s, want processing", now.Status)
	}
	d.verify(t, d.order.ID)
}

// ends expects that the payment has a status and was captured as often as wanted, and that every invariant holds.
func (d debitShop) ends(t *testing.T, status string, captures int) {
	t.Helper()
	waitFor(t, "the payment is "+status, func() bool { return d.payment(t, d.order).Status == status })
	got := 0
	for _, e := range d.history(t, events.PrefixPayment+events.FirstPaymentID(d.order.ID)) {
		if _, ok := e.Payload.(events.PaymentCaptured); ok {
			got++
		}
	}
	if got != captures {
		t.Errorf("the payment was captured %d times, want %d", got, captures)
	}
	d.verify(t, d.order.ID)
}

// sold expects that the order is confirmed, charged once and mailed once.
func (d debitShop) sold(t *testing.T) {
	t.Helper()
	d.becomes(t, d.order, "confirmed")
	d.stockBecomes(t, "MUG", level{8, 8, 0})
	d.charged(t, d.order)
	d.subjects(t, d.order.Email, "Order "+d.order.Number+" is confirmed")
	if got := d.refunds(t, d.offer.Intent); len(got) > 0 {
		t.Errorf("refunds = %v of a confirmed order, want none", got)
	}
	d.ends(t, "captured", 1)
}

// Row 31 of the fault matrix, for a deadline that follows the payment method: the first one ends nothing.
func TestDebitIsHeldUntilTheBankPays(t *testing.T) {
	t.Parallel()
	d := startDebit(t, paysLater)
	d.outlivesHold(t)
	d.bankAnswers(t)
	d.sold(t)
	d.deadlinesBecome(t, events.DeadlineProcessing)
}

// Row 37 of the fault matrix, for a debit that fails after days: the shopper has as long to pay by card as with a new order.
func TestCardAfterADebitThatFailed(t *testing.T) {
	t.Parallel()
	d := startDebit(t, failsLater)
	d.bankAnswers(t)
	d.deadlinesBecome(t, events.DeadlineProcessing, events.DeadlineProcessingFailed)
	d.refusedBecause(t, d.order, "payment_intent_payment_attempt_failed")
	d.settle(t, d.order)
	d.sold(t)
}

// Row 37 of the fault matrix: nobody pays in another way.
func TestOrderExpiresAfterADebitThatFailed(t *testing.T) {
	t.Parallel()
	d := startDebit(t, failsLater)
	d.outlivesHold(t)
	d.bankAnswers(t)
	d.deadlinesBecome(t, events.DeadlineProcessing, events.DeadlineProcessingFailed)
	d.becomes(t, d.order, "expired")
	d.stockBecomes(t, "MUG", level{10, 10, 0})
	d.intentBecomes(t, d.order, "canceled")
	d.notMailed(t, d.order)
	d.ends(t, "cancelled", 0)
}

// Row 43 of the fault matrix, for a debit: the order is cancelled while the bank processes the payment.
func TestOrderIsCancelledDuringADebit(t *testing.T) {
	t.Parallel()
	t.Run("ThatSucceeds", func(t *testing.T) {
		t.Parallel()
		d := startDebit(t, paysLater)
		d.cancelled(t)
		d.bankAnswers(t)
		waitFor(t, "the order shows the refund", func() bool { return d.read(t, d.order).Refunded != nil })
		if now := d.read(t, d.order); now.Status != "cancelled" || *now.Refunded != d.order.Total {
			t.Errorf("after the refund: status %q, refunded %s; want cancelled, %s", now.Status, now.Refunded, d.order.Total)
		}
		d.subjects(t, d.order.Email, "Refund of €25.00 for order "+d.order.Number)
		d.ends(t, "refunded", 1)
		if got := d.refunds(t, d.offer.Intent); !slices.Equal(got, []int64{2500}) {
			t.Errorf("refunds = %v, want 2500 once", got)
		}
		d.stockBecomes(t, "MUG", level{10, 10, 0})
	})
	t.Run("ThatFails", func(t *testing.T) {
		t.Parallel()
		d := startDebit(t, failsLater)
		d.cancelled(t)
		d.bankAnswers(t)
		d.intentBecomes(t, d.order, "canceled")
		d.ends(t, "cancelled", 0)
		d.notMailed(t, d.order)
		d.stockBecomes(t, "MUG", level{10, 10, 0})
	})
}

// Row 44 of the fault matrix, for a debit: no webhook arrives. The reconciler finds that the bank has begun to process the payment, and
// what it has answered. The bank's clock is slow, so that its answer is not in the shop's future.
func TestReconcilerFollowsADebitWithoutWebhooks(t *testing.T) {
	t.Parallel()
	const late = 5 * 24 * time.Hour
	open := func(t *testing.T, iban string) debitShop {
		t.Helper()
		b := startBankAt(t, func() time.Time { return time.Now().Add(-late) })
		ts := startShop(t, func(c *Config) {
			b.configure(c)
			acceptDebits(c)
		})
		t.Cleanup(func() { close(b.ended) })
		return ts.debit(t, b, iban)
	}
	t.Run("ThatSucceeds", func(t *testing.T) {
		t.Parallel()
		d := open(t, paysLater)
		d.bankAnswers(t)
		d.sold(t)
	})
	t.Run("ThatFails", func(t *testing.T) {
		t.Parallel()
		d := open(t, failsLater)
		d.bankAnswers(t)
		d.deadlinesBecome(t, events.DeadlineProcessing, events.DeadlineProcessingFailed)
		d.settle(t, d.order)
		d.sold(t)
	})
}
