package main

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

func TestSoldOutItemIsSoldOnce(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	t.Run("SecondOrderIsRejected", func(t *testing.T) { secondOrder(t, ts) })
	t.Run("PartOfAnOrderIsNotHeld", func(t *testing.T) { partOfAnOrder(t, ts) })
	t.Run("TenConcurrentOrders", func(t *testing.T) { tenOrders(t, ts) })
	t.Run("AvailableAgainAfterCancellation", func(t *testing.T) { availableAgain(t, ts) })
}

func secondOrder(t *testing.T, ts *testShop) {
	ts.list(t, "PRINT", 4800, 1)
	winner := ts.becomes(t, ts.place(t, cart("wanda", line{"PRINT", 1})), "awaiting_payment")
	loser := ts.becomes(t, ts.place(t, cart("lola", line{"PRINT", 1})), "rejected")
	isShortOf(t, loser, events.Shortage{SKU: "PRINT", Requested: 1, Available: 0})
	ts.notMailed(t, loser)
	ts.hasNoPayment(t, loser)
	if a := ts.cancel(t, loser); a.Status != http.StatusConflict {
		t.Errorf("cancelling a rejected order: status %d, want 409", a.Status)
	}
	ts.settle(t, winner)
	ts.stockBecomes(t, "PRINT", level{})
	var item struct{ Available int64 }
	waitFor(t, "the catalogue shows the item as sold out", func() bool {
		ts.get(t, "/api/items/PRINT", "").into(t, http.StatusOK, &item)
		return item.Available == 0
	})
}

// isShortOf fails unless the order was rejected for exactly these shortages.
func isShortOf(t *testing.T, o order, short ...events.Shortage) {
	t.Helper()
	if o.Reason == nil || o.Reason.Code != "out_of_stock" || o.Reason.Message == "" {
		t.Fatalf("reason = %+v, want out_of_stock", o.Reason)
	}
	if diff := cmp.Diff(short, o.Reason.Short); diff != "" {
		t.Errorf("shortages (-want +got):\n%s", diff)
	}
}

// hasNoPayment fails if there is an intent or a payment of the order.
func (ts *testShop) hasNoPayment(t *testing.T, o order) {
	t.Helper()
	if found := ts.intents(t, o); len(found) > 0 {
		t.Errorf("intents of rejected order %s = %+v, want none", o.ID, found)
	}
	if a := ts.get(t, "/api/orders/"+o.ID+"/payment", o.AccessToken); a.Status != http.StatusNotFound {
		t.Errorf("payment of a rejected order: status %d, want 404: %s", a.Status, a.Body)
	}
}

func partOfAnOrder(t *testing.T, ts *testShop) {
	ts.list(t, "PLATE", 1000, 10)
	ts.list(t, "CUP", 900, 2)
	ts.list(t, "SPOON", 300, 1)
	o := ts.becomes(t, ts.place(t, cart("hans", line{"CUP", 3}, line{"PLATE", 2}, line{"SPOON", 4})), "rejected")
	isShortOf(t, o, events.Shortage{SKU: "CUP", Requested: 3, Available: 2}, events.Shortage{SKU: "SPOON", Requested: 4, Available: 1})
	if got := ts.stock(t, "PLATE"); got != (level{10, 10, 0}) {
		t.Errorf("stock of the item in stock = %+v, want nothing held", got)
	}
	ts.notMailed(t, o)
}

func tenOrders(t *testing.T, ts *testShop) {
	ts.list(t, "KITE", 2600, 1)
	requests := make([]*http.Request, 10)
	for i := range requests {
		requests[i] = ts.checkoutRequest(t, cart("kid-"+string(rune('a'+i)), line{"KITE", 1}), "")
	}
	bought := 0
	for _, a := range ts.together(t, requests) {
		var o order
		a.into(t, http.StatusCreated, &o)
		if last, _ := ts.follow(t, o, "awaiting_payment", "rejected"); last.Status == "rejected" {
			ts.notMailed(t, o)
			ts.hasNoPayment(t, o)
			continue
		}
		bought++
		ts.settle(t, o)
	}
	if bought != 1 {
		t.Errorf("%d of ten orders got the last item, want 1", bought)
	}
	ts.stockBecomes(t, "KITE", level{})
}

func availableAgain(t *testing.T, ts *testShop) {
	ts.list(t, "DRUM", 5000, 1)
	first := ts.becomes(t, ts.place(t, cart("fred", line{"DRUM", 1})), "awaiting_payment")
	ts.becomes(t, ts.place(t, cart("greta", line{"DRUM", 1})), "rejected")
	ts.cancel(t, first).into(t, http.StatusOK, &first)
	ts.stockBecomes(t, "DRUM", level{1, 1, 0})
	ts.buy(t, cart("greta", line{"DRUM", 1}))
	ts.stockBecomes(t, "DRUM", level{})
}
