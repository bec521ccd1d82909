package payments

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

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
	f := newFixture(t, fixtureOptions{database: true})
	open := f.requestPayment(1250)
	paid, p := f.buy(900)
	f.list("", 2)
	f.list("status=captured", 1)
	if got := f.list("status=captured", 1).Payments[0]; got.OrderID != paid || got.Captured != (events.Money{Amount: 900, Currency: "GBP"}) || got.PaymentIntent != p.PaymentIntent || got.RequestedAt.IsZero() {
		t.Errorf("captured: got %+v, want the payment of order %s", got, paid)
	}
	for _, q := range []string{paid, " " + p.PaymentIntent + " ", events.FirstPaymentID(paid)} {
		if got := f.list("q="+url.QueryEscape(q), 1).Payments[0]; got.OrderID != paid {
			t.Errorf("search %q: got order %s, want %s", q, got.OrderID, paid)
		}
	}
	first := f.list("limit=1", 1)
	second := f.list("limit=1&cursor="+url.QueryEscape(first.NextCursor), 1)
	if first.Payments[0].OrderID != paid || second.Payments[0].OrderID != open {
		t.Errorf("pages: got %s, then %s; want the newest first", first.Payments[0].OrderID, second.Payments[0].OrderID)
	}
	f.list("failed_refund=true", 0)
}

func TestStaffListPaymentsOfWhichARefundFailed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{database: true})
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

// BenchmarkListOf10000Payments measures the first page, a page by status and a search in 10,000 payments of the projection.
func BenchmarkListOf10000Payments(b *testing.B) {
	f := newFixture(b, fixtureOptions{database: true})
	const payments = 10_000
	docs := make([]any, payments)
	for i := range docs {
		order := fmt.Sprintf("order-%d", i)
		p := Payment{ID: events.FirstPaymentID(order), OrderID: order, Number: fmt.Sprintf("%05d-AAAAA", i), Amount: gbp1250, PaymentIntent: "pi_" + order, RequestedAt: time.Unix(int64(i), 0)}
		if i%2 == 0 {
			p.Captured = gbp1250
		}
		docs[i] = bson.D{{Key: "_id", Value: p.ID}, {Key: "doc", Value: document{Payment: p, Status: p.Status()}}}
	}
	if _, err := f.service.config.DB.Collection(collection).InsertMany(b.Context(), docs); err != nil {
		b.Fatal(err)
	}
	for name, in := range map[string]listInput{"FirstPage": {Limit: 50}, "ByStatus": {Limit: 50, Status: StatusCaptured}, "ByNumber": {Limit: 50, Q: "04711-AAAAA"}, "ByIntent": {Limit: 50, Q: "pi_order-9999"}, "ByOrder": {Limit: 50, Q: "order-4711"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if found, err := f.service.findListed(b.Context(), &in); err != nil || len(found) == 0 {
					b.Fatal(len(found), err)
				}
			}
		})
	}
}
