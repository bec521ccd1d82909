package payments

import (
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// listAs lists payments with a credential.
func (f *fixture) listAs(credential, query string) (list ListBody, status int) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.shopURL+"/ops/api/payments?"+query, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	status = f.do(request, &list)
	return list, status
}

// appendFacts appends events of a payment.
func (f *fixture) appendFacts(id string, facts ...events.Payload) {
	f.t.Helper()
	if err := f.log.Do(f.t.Context(), func(tx *eventlog.Tx) error { return Payments.Append(tx, id, facts...) }); err != nil {
		f.t.Fatal(err)
	}
}

// list lists payments as staff until there are this many.
func (f *fixture) list(query string, want int) (list ListBody) {
	f.t.Helper()
	f.waitUntil("the list has the payments", func() bool {
		var status int
		list, status = f.listAs("Bearer staff", query)
		return status == 200 && len(list.Payments) == want
	})
	return list
}

func TestStaffListPayments(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	open := f.requestPayment(1250)
	paid, p := f.buy(900)
	f.list("", 2)
	f.list("status=captured", 1)
	if got := f.list("status=captured", 1).Payments[0]; got.OrderID != paid || got.Captured != (events.Money{Amount: 900, Currency: "GBP"}) || got.PaymentIntent != p.PaymentIntent || got.RequestedAt.IsZero() {
		t.Errorf("captured: got %+v, want the payment of order %s", got, paid)
	}
	charge := f.payment(paid).Charge
	for _, q := range []string{paid, strings.ToUpper(paid), " " + p.PaymentIntent + " ", strings.Replace(p.PaymentIntent, "pi_", "PI_", 1), charge, events.FirstPaymentID(paid)} {
		if got := f.list("q="+url.QueryEscape(q), 1).Payments[0]; got.OrderID != paid {
			t.Errorf("search %q: got order %s, want %s", q, got.OrderID, paid)
		}
	}
	f.list("q="+url.QueryEscape("# 8f3k2 mqd7a"), 2) // both orders have this number
	f.list("q=pi_other", 0)
	f.list("status=captured&q="+open, 0)
	first := f.list("limit=1", 1)
	second := f.list("limit=1&cursor="+url.QueryEscape(first.NextCursor), 1)
	if first.Payments[0].OrderID != paid || second.Payments[0].OrderID != open {
		t.Errorf("pages: got %s, then %s; want the newest first", first.Payments[0].OrderID, second.Payments[0].OrderID)
	}
	f.list("failed_refund=true", 0)
}

func TestStaffListPaymentsOfWhichARefundFailed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	paid, _ := f.buy(900)
	f.buy(500)
	id := events.FirstPaymentID(paid)
	f.appendFacts(id, events.PaymentRefundRequested{OrderID: paid, PaymentID: id, RefundID: "r1", Amount: gbp1250, Reason: "returned"},
		events.PaymentRefundFailed{OrderID: paid, PaymentID: id, RefundID: "r1", Amount: gbp1250, Reason: "account_closed"})
	if got := f.list("failed_refund=true", 1).Payments[0]; got.OrderID != paid || got.FailedRefunds != 1 {
		t.Errorf("got %+v, want the payment with the failed refund", got)
	}
}

func TestTheListOfPaymentsIsForStaff(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	for credential, want := range map[string]int{"": 401, "Bearer token-x": 401} {
		if _, status := f.listAs(credential, ""); status != want {
			t.Errorf("with %q: got HTTP %d, want %d", credential, status, want)
		}
	}
	for query, want := range map[string]int{"cursor=x": 400, "status=settled": 422, "limit=0": 422} {
		if _, status := f.listAs("Bearer staff", query); status != want {
			t.Errorf("%s: got HTTP %d, want %d", query, status, want)
		}
	}
}

// BenchmarkListOf10000Payments measures the list over HTTP and reports the memory of one payment. It asks no database.
func BenchmarkListOf10000Payments(b *testing.B) {
	f := newFixture(b, fixtureOptions{})
	const payments = 10_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range payments {
		f.handlePurchase(fmt.Sprintf("order-%05d-with-the-length-of-an-id", i), i)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	for name, query := range map[string]string{"FirstPage": "", "ByStatus": "status=captured", "FailedRefunds": "failed_refund=true", "ByNumber": "q=%23+04712-aaaaa",
		"ByIntent": "q=pi_9998", "ByOrder": "q=order-04711-with-the-length-of-an-id", "Nothing": "q=nobody"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				list, status := f.listAs("Bearer staff", query)
				if status != http.StatusOK || (len(list.Payments) == 0) != (name == "Nothing" || name == "FailedRefunds") {
					b.Fatalf("%s: got HTTP %d, %d payments", query, status, len(list.Payments))
				}
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/payments, "B/payment")
		})
	}
}

// handlePurchase adds a payment to the list. Every second one is captured, and the others wait.
func (f *fixture) handlePurchase(order string, i int) {
	id := events.FirstPaymentID(order)
	facts := []events.Payload{
		events.PaymentRequested{OrderID: order, PaymentID: id, Number: fmt.Sprintf("%05d-AAAAA", i), Amount: gbp1250},
		events.PaymentIntentCreated{OrderID: order, PaymentID: id, PaymentIntent: fmt.Sprintf("pi_%d", i)},
		events.WebhookReceived{StripeEvent: fmt.Sprintf("evt_%d", i)},
	}
	if i%2 == 0 {
		facts = append(facts, events.PaymentCaptured{OrderID: order, PaymentID: id, Amount: gbp1250, Charge: fmt.Sprintf("ch_%d", i)})
	}
	for n, fact := range facts {
		f.service.index.Handle(events.Event{Type: fact.EventType(), Subject: events.PrefixPayment + id, Revision: uint64(n + 1), Time: time.Unix(int64(i), 0), Payload: fact})
	}
}
