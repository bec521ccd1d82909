package payments

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// foreignIntent creates an intent that another program makes in the same Stripe account.
func (f *fixture) foreignIntent() string {
	f.t.Helper()
	id, _ := f.callStripe("payment_intents", url.Values{"amount": {"999"}, "currency": {"gbp"}, "payment_method_types[]": {"card"}})["id"].(string)
	if id == "" {
		f.t.Fatal("the sandbox has created no intent")
	}
	return id
}

// booking returns a balance transaction about an intent.
func booking(id, kind, source, intent string, amount, fee int64) BalanceTransaction {
	gbp := func(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }
	return BalanceTransaction{ID: id, Kind: kind, Source: source + "_" + id, SourceKind: source, PaymentIntent: intent, Amount: gbp(amount), Fee: gbp(fee),
		Net: gbp(amount - fee), Created: time.Now().UTC().Truncate(time.Second), AvailableOn: time.Now().UTC().Truncate(time.Second)}
}

// What Stripe has booked for payments of the shop is recorded once, in one commit; bookings of others and of another kind are passed over.
func TestBalanceIsRecordedOnce(t *testing.T) {
	t.Parallel()
	b := &bank{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: b.wrap})
	var orders []string
	for i := range 3 {
		orderID, body := f.placeOrder(1250)
		charge := booking(fmt.Sprintf("txn_%d", i), "charge", "charge", body.PaymentIntent, 1250, 39)
		charge.PaymentID = events.FirstPaymentID(orderID)
		orders, b.booked = append(orders, orderID), append(b.booked, charge)
		if i == 0 { // the object names only the intent
			b.booked = append(b.booked, booking("txn_refund", "refund", "refund", body.PaymentIntent, -300, 0),
				booking("txn_dispute", "adjustment", "dispute", body.PaymentIntent, -1250, 2000))
		}
	}
	foreign := booking("txn_foreign", "charge", "charge", "pi_foreign", 999, 30)
	named := booking("txn_named", "charge", "charge", "pi_other", 999, 30)
	named.PaymentID = "no payment/of ours"
	b.booked = append(b.booked, foreign, named, booking("txn_payout", "payout", "payout", "", -2000, 0),
		BalanceTransaction{ID: "txn_broken", Created: foreign.Created, Unreadable: errors.New("amount is no number")})
	for range 2 { // the second walk overlaps
		if err := f.service.reconcileBalance(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	commits, recorded := map[time.Time]bool{}, 0
	for _, e := range f.history() {
		if _, ok := e.Payload.(events.PaymentBalanceRecorded); ok {
			commits[e.Time], recorded = true, recorded+1
		}
	}
	if got := strings.Count(f.logOutput.String(), "transaction=txn_broken"); got != 2 {
		t.Errorf("log lines about the unreadable booking: got %d, want 1 for each walk", got)
	}
	if recorded != 5 || len(commits) != 1 {
		t.Errorf("got %d bookings in %d commits, want 5 in 1", recorded, len(commits))
	}
	gbp := func(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }
	want := Settlement{Gross: gbp(1250), Refunded: gbp(300), Disputed: gbp(1250), Fees: gbp(2039), Net: gbp(-2339)}
	p := f.payment(orders[0])
	if got, ok := p.Settlement(); !ok || got != want {
		t.Errorf("settlement: got %+v, %t; want %+v", got, ok, want)
	}
	euros := p.Balance["txn_refund"]
	euros.Amount.Currency = "EUR"
	p.Balance["txn_refund"] = euros
	if got, ok := p.Settlement(); ok {
		t.Errorf("settlement of pounds and euros: got %+v, want none", got)
	}
}

// Another process, or the next one, goes on where the shop's last walk ended.
func TestBalanceWalkHasACheckpoint(t *testing.T) {
	t.Parallel()
	b := &bank{}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: b.wrap})
	b.booked = []BalanceTransaction{booking("txn_1", "stripe_fee", "", "", -5, 0)}
	if err := f.service.reconcileBalance(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.service.cursor.balance = time.Time{}
	since, err := f.service.balanceSince(t.Context())
	want := b.booked[0].Created.Add(-balanceOverlap - restartOverlap)
	if err != nil || !since.Equal(want) {
		t.Errorf("next walk begins: got %s, %v; want %s", since, err, want)
	}
}

// The report of a payout adds up to its amount, and names the difference where it does not.
func TestPayoutReportAddsUp(t *testing.T) {
	t.Parallel()
	booked := []BalanceTransaction{booking("txn_1", "charge", "charge", "pi_1", 1250, 39), booking("txn_2", "charge", "charge", "pi_foreign", 2000, 48),
		booking("txn_3", "refund", "refund", "pi_1", -300, 0), booking("txn_4", "adjustment", "dispute", "pi_1", -950, 2000),
		booking("txn_5", "stripe_fee", "", "", -7, 0), booking("txn_6", "adjustment", "", "", 4000, 0)}
	own := booking("txn_7", "payout", "payout", "", -3906, 0)
	own.Source = "po_1"
	p := Payout{ID: "po_1", Amount: events.Money{Amount: 3906, Currency: "GBP"}}
	owner := func(t BalanceTransaction) Payment {
		if t.PaymentIntent == "pi_1" {
			return Payment{ID: payment, OrderID: order, Number: "8F3K2-MQD7A"}
		}
		return Payment{}
	}
	r := payoutReport(p, append(booked, own), owner)
	if !r.Difference.IsZero() || r.Net != p.Amount || len(r.Rows) != len(booked) {
		t.Errorf("got %d rows that sum up to %s, difference %s; want %d rows, %s, 0", len(r.Rows), r.Net, r.Difference, len(booked), p.Amount)
	}
	got := map[string]int64{}
	for _, g := range r.Groups {
		got[g.Group] = g.Net.Amount
	}
	if diff := cmp.Diff(map[string]int64{GroupCharges: 3163, GroupRefunds: -300, GroupDisputes: -2950, GroupFees: -7, GroupOther: 4000}, got); diff != "" {
		t.Errorf("groups: want -, got +:\n%s", diff)
	}
	if r.Rows[0].Number != "8F3K2-MQD7A" || r.Rows[1].Number != "" {
		t.Errorf("order numbers: got %q and %q, want that of the shop's own charge", r.Rows[0].Number, r.Rows[1].Number)
	}
	if r = payoutReport(p, booked[:5], owner); r.Difference.Amount != 4000 {
		t.Errorf("difference: got %s, want 40.00 GBP", r.Difference)
	}
}
