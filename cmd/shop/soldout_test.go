package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

func TestSoldOut(t *testing.T) {
	t.Parallel()
	m := startShop(t, nil)
	t.Run("TheSecondOfTwoGetsNothing", func(t *testing.T) { secondOfTwo(t, m) })
	t.Run("HalfAnOrderIsNoOrder", func(t *testing.T) { halfAnOrder(t, m) })
	t.Run("TenWantTheLastOne", func(t *testing.T) { tenWantOne(t, m) })
	t.Run("WhoComesBackLaterMayHaveIt", func(t *testing.T) { comesBack(t, m) })
}

func secondOfTwo(t *testing.T, m *testShop) {
	m.list(t, "PRINT", 4800, 1)
	winner := m.becomes(t, m.place(t, cart("wanda", line{"PRINT", 1})), "awaiting_payment")
	loser := m.becomes(t, m.place(t, cart("lola", line{"PRINT", 1})), "rejected")
	refusedFor(t, loser, events.Shortage{SKU: "PRINT", Requested: 1, Available: 0})
	got := m.mailed(t, loser.Email, 1)[0]
	if want := "We cannot deliver order " + loser.Number; got.Subject != want || !strings.Contains(got.Text, "A print: you wanted 1, none are left.") ||
		!strings.Contains(got.Text, "No money was taken.") {
		t.Errorf("the mail says %q and\n%s", got.Subject, got.Text)
	}
	m.neverAskedForMoney(t, loser)
	if a := m.cancel(t, loser); a.Status != http.StatusConflict {
		t.Errorf("cancelling a rejected order answers %d", a.Status)
	}
	m.settle(t, winner)
	m.stockBecomes(t, "PRINT", level{})
	var item struct{ Available int64 }
	waitFor(t, "the shop window says that it is gone", func() bool {
		m.get(t, "/api/items/PRINT", "").into(t, http.StatusOK, &item)
		return item.Available == 0
	})
}

// refusedFor expects an order to have been rejected for want of exactly these things.
func refusedFor(t *testing.T, o order, short ...events.Shortage) {
	t.Helper()
	if o.Reason == nil || o.Reason.Code != "out_of_stock" || o.Reason.Message == "" {
		t.Fatalf("rejected for %+v", o.Reason)
	}
	if diff := cmp.Diff(short, o.Reason.Short); diff != "" {
		t.Errorf("short (-want +got):\n%s", diff)
	}
}

// neverAskedForMoney expects that Stripe has never heard of an order.
func (m *testShop) neverAskedForMoney(t *testing.T, o order) {
	t.Helper()
	if found := m.intents(t, o); len(found) > 0 {
		t.Errorf("Stripe has an intent for rejected order %s: %+v", o.ID, found)
	}
	if a := m.get(t, "/api/orders/"+o.ID+"/payment", o.AccessToken); a.Status != http.StatusNotFound {
		t.Errorf("the payment of a rejected order answers %d: %s", a.Status, a.Body)
	}
}

func halfAnOrder(t *testing.T, m *testShop) {
	m.list(t, "PLATE", 1000, 10)
	m.list(t, "CUP", 900, 2)
	m.list(t, "SPOON", 300, 1)
	o := m.becomes(t, m.place(t, cart("hans", line{"CUP", 3}, line{"PLATE", 2}, line{"SPOON", 4})), "rejected")
	refusedFor(t, o, events.Shortage{SKU: "CUP", Requested: 3, Available: 2}, events.Shortage{SKU: "SPOON", Requested: 4, Available: 1})
	if got := m.stock(t, "PLATE"); got != (level{10, 10, 0}) {
		t.Errorf("of what there was enough something is held: %+v", got)
	}
	m.mailed(t, o.Email, 1)
}

func tenWantOne(t *testing.T, m *testShop) {
	m.list(t, "KITE", 2600, 1)
	requests := make([]*http.Request, 10)
	for i := range requests {
		requests[i] = m.checkoutRequest(t, cart("kid-"+string(rune('a'+i)), line{"KITE", 1}), "")
	}
	lucky := 0
	for _, a := range m.together(t, requests) {
		var o order
		a.into(t, http.StatusCreated, &o)
		if last, _ := m.follow(t, o, "awaiting_payment", "rejected"); last.Status == "rejected" {
			m.mailed(t, o.Email, 1)
			m.neverAskedForMoney(t, o)
			continue
		}
		lucky++
		m.settle(t, o)
	}
	if lucky != 1 {
		t.Errorf("%d of ten bought the last one", lucky)
	}
	m.stockBecomes(t, "KITE", level{})
}

func comesBack(t *testing.T, m *testShop) {
	m.list(t, "DRUM", 5000, 1)
	first := m.becomes(t, m.place(t, cart("fred", line{"DRUM", 1})), "awaiting_payment")
	m.becomes(t, m.place(t, cart("greta", line{"DRUM", 1})), "rejected")
	m.cancel(t, first).into(t, http.StatusOK, &first)
	m.stockBecomes(t, "DRUM", level{1, 1, 0})
	m.buy(t, cart("greta", line{"DRUM", 1}))
	m.stockBecomes(t, "DRUM", level{})
}
