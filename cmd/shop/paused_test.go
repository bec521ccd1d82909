package main

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/replay"
)

// TestTheShopSellsWhileItsViewsRest: what is bought while operators have the projections paused, also over a restart, is
// confirmed and mailed as ever; staff's list has it once they are resumed, and everything that is compared agrees.
func TestTheShopSellsWhileItsViewsRest(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	m := openShop(t, config)
	m.list(t, "MUG", 1250, 10)
	before := m.buy(t, cart("ada", line{"MUG", 1}))
	waitFor(t, "staff see the first order", func() bool { return m.isListed(t, listed{before.ID, "confirmed"}) })
	if paused, err := m.log.Pause(t.Context(), []string{replay.Projections}, replay.UntilResumed); err != nil || len(paused) != 2 {
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
	if diff := cmp.Diff([]listed{{before.ID, "confirmed"}}, m.staffsList(t)); diff != "" {
		t.Errorf("on staff's list while nothing is written (-want +got):\n%s", diff)
	}
	if m.backlog(t) == 0 {
		t.Error("nothing waits for the projections")
	}
	if _, err := m.log.Resume(t.Context(), []string{replay.Projections}); err != nil {
		t.Fatal(err)
	}
	for _, id := range bought {
		waitFor(t, "staff see what was bought meanwhile", func() bool { return m.isListed(t, listed{id, "confirmed"}) })
	}
	waitFor(t, "the projections have caught up", func() bool { return m.backlog(t) == 0 })
	m.verify(t, append(bought, before.ID)...)
}

// pause has a lane rest until it is resumed.
func (m *testShop) pause(t *testing.T, lane string) {
	t.Helper()
	if paused, err := m.log.Pause(t.Context(), []string{lane}, replay.UntilResumed); err != nil || len(paused) != 1 || !paused[0].Paused {
		t.Fatalf("paused %+v, %v", paused, err)
	}
}

// listed is an order on staff's list, which a projection writes.
type listed struct{ ID, Status string }

// staffsList is the list as staff see it, newest first.
func (m *testShop) staffsList(t *testing.T) []listed {
	t.Helper()
	var list struct {
		Orders []listed `json:"orders"`
	}
	m.staff(t, http.MethodGet, "/orders", nil, &list)
	return list.Orders
}

func (m *testShop) isListed(t *testing.T, want listed) bool {
	t.Helper()
	return slices.Contains(m.staffsList(t), want)
}
