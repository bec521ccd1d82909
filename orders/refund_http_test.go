package orders_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/orders"
)

// paidMugs places an order for mugs and confirms it.
func paidMugs(t *testing.T, l *eventlog.Log, handler http.Handler, quantity int) (id string) {
	t.Helper()
	o := placedOrder(t, post(handler, t.Name(), checkout("ada@example.com", quantity)))
	appendToOrder(t, l, o.ID, events.OrderAwaitingPayment{OrderID: o.ID, PaymentID: events.FirstPaymentID(o.ID), Amount: o.Total},
		events.OrderConfirmed{OrderOutcome: events.OrderOutcome{OrderID: o.ID}})
	return o.ID
}

func appendToOrder(t *testing.T, l *eventlog.Log, id string, facts ...events.Payload) {
	t.Helper()
	err := l.ForDomain("orders").Do(t.Context(), func(tx *eventlog.Tx) error { return orders.Orders.Append(tx, id, facts...) })
	if err != nil {
		t.Fatal(err)
	}
}

// refund asks for a refund under a key, with a body of which the reason is left out.
func refund(handler http.Handler, id, key, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/ops/api/orders/"+id+"/refunds", strings.NewReader(`{"reason":"damaged",`+body+`}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer staff")
	if key != "" {
		r.Header.Set("Idempotency-Key", "a key of the tests: "+key)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func refundsOf(t *testing.T, handler http.Handler, id string) (b orders.RefundsBody) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/ops/api/orders/"+id+"/refunds", http.NoBody)
	r.Header.Set("Authorization", "Bearer staff")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &b); err != nil || w.Code != http.StatusOK {
		t.Fatalf("refunds: got %d %s, %v", w.Code, w.Body, err)
	}
	return b
}

const seen50 = `"refundable":{"amount":5000,"currency":"GBP"}`

// Row 47 of the fault matrix: an operator clicks many times at two processes, which makes one refund with one answer. Then another
// operator, who saw the same amount, is told what is left.
func TestTwoClicksAndTwoOperatorsMakeOneRefund(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, one := openAPI(t, server)
	_, other := openAPI(t, server)
	listMug(t, l)
	id := paidMugs(t, l, one, 4)
	answers := make([]*httptest.ResponseRecorder, 20)
	var clicks sync.WaitGroup
	for i := range answers {
		clicks.Go(func() {
			answers[i] = refund([]http.Handler{one, other}[i%2], id, "click", seen50+`,"lines":[{"sku":"MUG","quantity":1,"restock":1}]`)
		})
	}
	clicks.Wait()
	made := 0
	for _, a := range answers {
		if a.Code != http.StatusCreated || a.Body.String() != answers[0].Body.String() {
			t.Fatalf("got %d %s, want 201 %s", a.Code, a.Body, answers[0].Body)
		}
		if a.Header().Get("Idempotent-Replayed") == "" {
			made++
		}
	}
	if b := refundsOf(t, other, id); made != 1 || len(b.Refunds) != 1 || b.Refundable.Amount != 3750 || b.Refunds[0].RequestedBy != "staff:mira" {
		t.Errorf("got %d made, %+v; want one of 12.50 by staff:mira", made, b)
	}
	if a := refund(other, id, "colleague", seen50+`,"full":true`); a.Code != http.StatusConflict || !strings.Contains(a.Body.String(), "3750") {
		t.Errorf("another operator: got %d %s, want 409 with 3750", a.Code, a.Body)
	}
	if a := refund(one, id, "click", seen50+`,"full":true`); a.Code != http.StatusUnprocessableEntity {
		t.Errorf("another request under the same key: got %d %s, want 422", a.Code, a.Body)
	}
}

func TestRefundRequestsAreChecked(t *testing.T) {
	t.Parallel()
	l, handler := openAPI(t, logtest.Server(t))
	listMug(t, l)
	unpaid := placedOrder(t, post(handler, "unpaid", checkout("ada@example.com", 4))).ID
	id := paidMugs(t, l, handler, 4)
	for name, tc := range map[string]struct {
		order, key, body string
		status           int
		text             string
	}{
		"no key":         {id, "", seen50 + `,"full":true`, http.StatusUnprocessableEntity, "Idempotency-Key"},
		"no such order":  {"none", "k", seen50 + `,"full":true`, http.StatusNotFound, ""},
		"nothing paid":   {unpaid, "k", `"refundable":{"amount":0,"currency":"GBP"},"full":true`, http.StatusConflict, "no money of this order was captured"},
		"more than paid": {id, "k", seen50 + `,"amount":{"amount":5001,"currency":"GBP"}`, http.StatusUnprocessableEntity, "50.00 GBP"},
		"no such refund": {id, "k", seen50 + `,"replaces":"r0"`, http.StatusConflict, "failed refund"},
		"too much":       {id, "k", seen50 + fmt.Sprintf(`,"amount":{"amount":%d,"currency":"GBP"}`, int64(1)<<62), http.StatusUnprocessableEntity, ""},
	} {
		if a := refund(handler, tc.order, tc.key, tc.body); a.Code != tc.status || !strings.Contains(a.Body.String(), tc.text) {
			t.Errorf("%s: got %d %s, want %d with %q", name, a.Code, a.Body, tc.status, tc.text)
		}
	}
	if b := refundsOf(t, handler, id); len(b.Refunds) != 0 || b.Refundable.Amount != 5000 || b.Lines[0].Restock != 4 {
		t.Errorf("got %+v, want no refund, 50.00 GBP refundable, 4 to restock", b)
	}
}
