//go:build unix

package sweep_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/events/crash"
)

// places says where the points are passed that have many places. A point that is not here is passed in one.
var places = map[string][]string{
	"append.gathered":  {events.StreamInventory, events.StreamNotifications, events.StreamOrders, events.StreamPayments, events.StreamTimers},
	"append.stored":    {events.StreamInventory, events.StreamNotifications, events.StreamOrders, events.StreamPayments, events.StreamTimers},
	"append.half_sent": {events.StreamInventory}, // a hold is always several facts; elsewhere a batch needs a crowd
	"decide.fetched":   deciders, "decide.decided": deciders, "decide.committed": deciders, "decide.acked": deciders,
	"act.begun": actors, "act.done": actors, "act.acked": actors,
	"view.fetched": views, "view.archived": views, "view.written": views, "view.acked": views,
	"sweep.begun": sweeps, "sweep.done": sweeps,
}

// The durable consumers of the shop, by the loop that they feed, and its periodic sweeps.
var (
	deciders = []string{"inventory-orders", "notifications-orders", "orders-expiry", "orders-inventory", "orders-payments", "orders-timers",
		"payments-orders", "payments-webhooks"}
	actors = []string{"notifications-mail", "payments-capture", "payments-stripe"}
	views  = []string{"inventory-view", "notifications-view", "orders-view", "payments-view"}
	sweeps = []string{"orders-expiry-sweep", "payments-reconcile"}
)

// seldom are the points and places that an order passes only when its time is up, so nobody waits there for a second.
var seldom = []string{"orders-expiry", "orders-expiry-sweep", "payments-reconcile", "payments.before_cancel", "payments.after_cancel", "timers.fired"}

// sites are all moments in all places.
func sites() []crash.Trap {
	var all []crash.Trap
	for _, p := range crash.Points() {
		if !p.Placed {
			all = append(all, crash.Trap{Point: p.Name, Pass: 1})
		}
		for _, place := range places[p.Name] {
			all = append(all, crash.Trap{Point: p.Name, Place: place, Pass: 1})
		}
	}
	return all
}

// Every placed point has its places, and no others have any.
func TestSitesCoverThePoints(t *testing.T) {
	t.Parallel()
	var want []string
	for _, p := range crash.Points() {
		if p.Placed {
			want = append(want, p.Name)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(places))); diff != "" {
		t.Errorf("points with places (-table +here):\n%s", diff)
	}
}
