package console

import (
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/payments"
)

// paidOut gives the bank a payout with a charge and a refund of an order, and a charge of another program.
func (g *goods) paidOut(difference int64) {
	at := time.Date(2026, 11, 26, 9, 30, 0, 0, time.UTC)
	booked := func(id, kind, source, intent string, amount, fee int64) payments.BalanceTransaction {
		return payments.BalanceTransaction{ID: id, Kind: kind, Source: source + "_3Q1", SourceKind: kind, PaymentIntent: intent, Amount: pounds(amount), Fee: pounds(fee),
			Net: pounds(amount - fee), Created: at, AvailableOn: at}
	}
	g.bank.booked = []payments.BalanceTransaction{booked("txn_3", "refund", "re", "pi_o1", -250, 0), booked("txn_2", "charge", "py", "pi_foreign", 2000, 88), booked("txn_1", "charge", "ch", "pi_o1", 1250, 66)}
	g.bank.payout = payments.Payout{ID: "po_1QAbCdEfGhIjKlMnOpQrStUv", Amount: pounds(2846 + difference), Status: "paid", Automatic: true, CreatedAt: at, ArrivesAt: at.Add(48 * time.Hour)}
}

func TestPayoutsAreShownWithTheirOrders(t *testing.T) {
	g := openGoods(t)
	shows(t, g.get("/ops/payouts"), "No payouts yet")
	g.pay("o1", "8F3K2-AAAAA", events.PaymentCaptured{OrderID: "o1", Amount: pounds(1250)})
	g.paidOut(0)
	id := g.bank.payout.ID
	shows(t, g.get("/ops/payouts"), id, "£28.46", "28 Nov 2026", `href="/ops/payouts/`+id+`"`)
	page := g.get("/ops/payouts/" + id)
	shows(t, page, "£28.46", "8F3K2-AAAAA", `href="/ops/orders/o1"`, "not of this shop", "£30.96", "charges", "refunds")
	if strings.Contains(page, "is in no row") {
		t.Error("a payout that adds up: the page names a difference")
	}
	if file := g.get("/ops/payouts/" + id + "/csv"); !strings.Contains(file, "txn_1,2026-11-26T09:30:00Z,charges,charge,8F3K2-AAAAA,o1,ch_3Q1,12.50,0.66,11.84,GBP") {
		t.Errorf("CSV: got\n%s", file)
	}
	shows(t, g.get("/ops/payouts.csv"), id+",2026-11-28T09:30:00Z,2026-11-26T09:30:00Z,28.46,GBP,paid")
	g.paidOut(400)
	shows(t, g.get("/ops/payouts/"+id), "£4.00 of the payout is in no row.")
	g.bank.down = true
	shows(t, g.get("/ops/payouts"), "There is no list now", "Stripe could not be asked")
	shows(t, g.get("/ops/payouts/"+id), "cannot be shown now", "Stripe could not be asked")
}

// dispute appends a dispute of an order's payment.
func (g *goods) dispute(orderID, number, status string, due time.Time) {
	g.t.Helper()
	g.pay(orderID, number, events.PaymentCaptured{OrderID: orderID, Amount: pounds(1250)},
		events.PaymentDisputeUpdated{OrderID: orderID, Dispute: "dp_" + orderID, Charge: "ch_" + orderID, Status: status, Reason: "product_not_received", Amount: pounds(1250), EvidenceDue: due},
		events.PaymentBalanceRecorded{OrderID: orderID, Transaction: "txn_" + orderID, Kind: "charge", Amount: pounds(1250), Fee: pounds(66), Net: pounds(1184)})
}

// Row 51 of the fault matrix: staff see open disputes with the date until when evidence is due, the most urgent first.
func TestStaffSeeOpenDisputes(t *testing.T) {
	g := openGoods(t)
	due := time.Date(2026, 12, 9, 23, 59, 0, 0, time.UTC)
	g.dispute("o1", "8F3K2-AAAAA", events.DisputeNeedsResponse, due.Add(24*time.Hour))
	g.dispute("o2", "8F3K2-BBBBB", events.DisputeNeedsResponse, due)
	g.dispute("o3", "8F3K2-CCCCC", events.DisputeLost, due)
	g.await("all are listed", func() bool { return strings.Count(g.get("/ops/payments?dispute=any"), "dispute ") >= 3 })
	page := g.get("/ops/payments/open")
	shows(t, page, "8F3K2-AAAAA", "8F3K2-BBBBB", "needs response", "product not received", "9 Dec 2026 23:59", "https://dashboard.stripe.com/test/disputes/dp_o2")
	if strings.Contains(page, "8F3K2-CCCCC") || strings.Index(page, "8F3K2-AAAAA") < strings.Index(page, "8F3K2-BBBBB") {
		t.Error("open disputes: want that of BBBBB before that of AAAAA, and none that is closed")
	}
	if page = g.get("/ops/payments?dispute=open"); strings.Contains(page, "8F3K2-CCCCC") {
		t.Error("filter: the page has a closed dispute")
	}
	shows(t, page, "£11.84", "dispute needs response")
	shows(t, g.get("/ops"), "2 disputes to be answered", "the first by 9 December 2026: order 8F3K2-BBBBB")
}

func TestPagesOfMoneyLookRight(t *testing.T) {
	g := openGoods(t)
	g.dispute("o1", "8F3K2-AAAAA", events.DisputeNeedsResponse, time.Now().Add(60*time.Hour))
	g.paidOut(0)
	g.checkLooks("payouts", "/ops/payouts")
	g.checkLooks("payout", "/ops/payouts/"+g.bank.payout.ID)
	g.checkLooks("payments-disputes", "/ops/payments?dispute=open")
	g.checkLooks("payments-open-disputes", "/ops/payments/open")
	g.checkLooks("overview-disputes", "/ops")
}
