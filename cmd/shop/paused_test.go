package main

import (
	"net/http"
	"testing"

	"tillstream/events/replay"
)

// TestTheShopSellsWhileItsViewsRest: what is bought while operators have the views paused, also over a restart, is
// confirmed and mailed as ever; staff's list has it once the views are resumed, and everything that is compared agrees.
func TestTheShopSellsWhileItsViewsRest(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	m := openShop(t, config)
	m.list(t, "MUG", 1250, 10)
	before := m.buy(t, cart("ada", line{"MUG", 1}))
	waitFor(t, "staff see the first order", func() bool { return m.listed(t, before.ID) == "confirmed" })
	if paused, err := m.log.Pause(t.Context(), []string{replay.Views}, replay.UntilResumed); err != nil || len(paused) < 4 {
		t.Fatalf("paused %+v, %v", paused, err)
	}
	var bought []string
	for _, who := range []string{"bob", "cleo"} {
		bought = append(bought, m.buy(t, cart(who, line{"MUG", 2})).ID)
		m.mailed(t, who+"@example.com", 1)
	}
	m.close(t)
	m = openShop(t, config)
	bought = append(bought, m.buy(t, cart("dora", line{"MUG", 2})).ID)
	m.stockBecomes(t, "MUG", level{3, 3, 0})
	for _, id := range bought {
		if status := m.listed(t, id); status != "" {
			t.Errorf("staff see order %s as %q while nothing is written", id, status)
		}
	}
	if m.backlog(t) == 0 {
		t.Error("nothing waits for the views")
	}
	if _, err := m.log.Resume(t.Context(), []string{replay.Views}); err != nil {
		t.Fatal(err)
	}
	for _, id := range bought {
		waitFor(t, "staff see what was bought meanwhile", func() bool { return m.listed(t, id) == "confirmed" })
	}
	waitFor(t, "the views have caught up", func() bool { return m.backlog(t) == 0 })
	m.verify(t, append(bought, before.ID)...)
}

// listed is the status that an order has on staff's list, which a view writes; "" when it is not on it.
func (m *market) listed(t *testing.T, id string) string {
	t.Helper()
	var list struct {
		Orders []struct{ ID, Status string } `json:"orders"`
	}
	m.staff(t, http.MethodGet, "/orders", nil, &list)
	for _, o := range list.Orders {
		if o.ID == id {
			return o.Status
		}
	}
	return ""
}
