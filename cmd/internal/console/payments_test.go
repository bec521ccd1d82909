package console

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/payments"
)

// pay appends the events of a payment, until staff can list it.
func (g *goods) pay(orderID, number string, facts ...events.Payload) {
	g.t.Helper()
	id := events.FirstPaymentID(orderID)
	all := append([]events.Payload{events.PaymentRequested{OrderID: orderID, PaymentID: id, Number: number, Amount: pounds(1250)},
		events.PaymentIntentCreated{OrderID: orderID, PaymentID: id, PaymentIntent: "pi_" + orderID, Amount: pounds(1250)}}, facts...)
	err := g.Log.ForDomain("payments").Do(g.t.Context(), func(tx *eventlog.Tx) error { return payments.Payments.Append(tx, id, all...) })
	if err != nil {
		g.t.Fatal(err)
	}
	g.await("the payment is listed", func() bool { return strings.Contains(g.get("/ops/payments?q=pi_"+orderID), number) })
}

func TestPaymentsAreListedByStatus(t *testing.T) {
	g := openGoods(t)
	g.pay("o1", "8F3K2-AAAAA", events.PaymentCaptured{OrderID: "o1", Amount: pounds(1250)})
	g.pay("o2", "8F3K2-BBBBB")
	g.await("both are listed", func() bool {
		return strings.Contains(g.get("/ops/payments?status=captured"), "8F3K2-AAAAA") && strings.Contains(g.get("/ops/payments?status=intent_created"), "8F3K2-BBBBB")
	})
	shows(t, g.get("/ops/payments"), "8F3K2-AAAAA", "8F3K2-BBBBB", "£12.50", "pi_o1", "captured", "intent created", `href="/ops/orders/o1"`)
	if page := g.get("/ops/payments?status=captured"); strings.Contains(page, "8F3K2-BBBBB") {
		t.Error("captured: the page has a payment that is not")
	}
	shows(t, g.get("/ops/payments?q=pi_o2"), "8F3K2-BBBBB")
	shows(t, g.get("/ops/payments?q=nothing"), "No payments match")
}

func TestOpenItemsOfPaymentsAreTogether(t *testing.T) {
	g := openGoods(t)
	id := events.FirstPaymentID("o1")
	g.pay("o1", "8F3K2-AAAAA", events.PaymentCaptured{OrderID: "o1", PaymentID: id, Amount: pounds(1250)},
		events.PaymentRefundRequested{OrderID: "o1", PaymentID: id, RefundID: "r1", Amount: pounds(1250)}, events.PaymentRefundFailed{OrderID: "o1", PaymentID: id, RefundID: "r1", Amount: pounds(1250), Reason: "account closed"})
	g.publish(events.Event{ID: "dead-17", Subject: "deadletters.payments.17", Payload: events.DeadLettered{Worker: "payments", Sequence: 17, Error: "unmatched <b>payment</b>"}})
	g.publish(events.Event{ID: "dead-18", Subject: "deadletters.payments.stripe.18", Payload: events.DeadLettered{Worker: "payments.stripe", Sequence: 18, Error: "no such intent"}})
	g.publish(events.Event{ID: "dead-19", Subject: "deadletters.orders.19", Payload: events.DeadLettered{Worker: "orders", Sequence: 19, Error: "of another domain"}})
	g.await("the refund is listed", func() bool { return strings.Contains(g.get("/ops/payments/open"), "8F3K2-AAAAA") })
	page := g.get("/ops/payments/open")
	shows(t, page, "8F3K2-AAAAA", "unmatched &lt;b&gt;payment", "no such intent", `href="/ops/deadletters/1"`, "8F3K2-MQD7A", "ada@example.com", "Set <code>STRIPE_SECRET_KEY</code>")
	if strings.Contains(page, "of another domain") {
		t.Error("the page has a dead letter of another domain")
	}
	shows(t, g.post("/ops/payments/check", url.Values{}), "set STRIPE_SECRET_KEY")
}

func TestStaffComparePaymentsWithStripe(t *testing.T) {
	results := make(chan error)
	check := func(_ context.Context, progress func(invariants.Progress)) (invariants.Report, error) {
		progress(invariants.Progress{Stage: "log", Done: 12000, Total: 30000})
		return invariants.Report{Findings: []invariants.Finding{{Invariant: "I2", Subject: "order o1", Detail: "captured 12.50 GBP in the log, 25.00 GBP at Stripe <i>"}}}, <-results
	}
	g := openGoods(t, func(c *Config) { c.CheckPayments = check })
	shows(t, g.get("/ops/payments/open"), "Not checked since", "Check now")
	shows(t, g.post("/ops/payments/check", url.Values{}), "are being compared")
	g.await("the progress", func() bool { return strings.Contains(g.get("/ops/payments/open"), "log: 12,000 of 30,000") })
	shows(t, g.post("/ops/payments/check", url.Values{}), "A comparison with Stripe is running already, started by staff:mira")
	results <- nil
	g.await("the result", func() bool { return strings.Contains(g.get("/ops/payments/open"), "1 disagreement") })
	shows(t, g.get("/ops/payments/open"), `href="/ops/orders/o1"`, "25.00 GBP at Stripe &lt;i&gt;", "Check now")
	g.post("/ops/payments/check", url.Values{})
	results <- errors.New("stripe is down")
	g.await("the failure", func() bool { return strings.Contains(g.get("/ops/payments/open"), "stripe is down") })
	shows(t, g.get("/ops/payments/open"), "1 disagreement")
}

func TestPagesOfPaymentsLookRight(t *testing.T) {
	g := openGoods(t, func(c *Config) {
		c.CheckPayments = func(context.Context, func(invariants.Progress)) (invariants.Report, error) {
			return invariants.Report{Findings: []invariants.Finding{{Subject: "order 0198a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", Detail: "captured 12.50 GBP in the log, 25.00 GBP at Stripe (pi_3Nabc is succeeded)"}}}, nil
		}
	})
	g.pay("o1", "8F3K2-AAAAA", events.PaymentCaptured{OrderID: "o1", Amount: pounds(1250)})
	g.pay("o2", "8F3K2-BBBBB", events.PaymentDeclined{OrderID: "o2", Fact: "ch_1", Code: "card_declined", DeclineCode: "insufficient_funds"})
	g.publish(events.Event{ID: "dead-17", Subject: "deadletters.payments.17", Payload: events.DeadLettered{Worker: "payments", Sequence: 17, Error: "unmatched payment"}})
	g.post("/ops/payments/check", url.Values{})
	g.await("the result", func() bool { return strings.Contains(g.get("/ops/payments/open"), "1 disagreement") })
	g.checkLooks("payments", "/ops/payments")
	g.checkLooks("payments-open", "/ops/payments/open")
}

func TestEveryStatusOfAPaymentCanBeChosen(t *testing.T) {
	g := openGoods(t)
	page := g.get("/ops/payments")
	for _, status := range payments.Statuses() {
		shows(t, page, `<option value="`+string(status)+`"`)
	}
}
