//go:build unix

package crashtest_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/failpoint"
)

// site is a moment at which somebody is hurt.
type site struct {
	failpoint.Trigger
	program string // which program is hurt there; "": whichever gets there first
}

// name is the site as -sweep.point takes it: "point", "point@place" or "point/program".
func (s site) name() string {
	if s.program == "" {
		return s.Site()
	}
	return s.Site() + "/" + s.program
}

// String says what is to happen there, too.
func (s site) String() string {
	if s.program == "" {
		return s.Trigger.String()
	}
	return s.Trigger.String() + " in " + s.program
}

// places says where the points are passed that have many places. A point that is not here is passed in one.
var places = map[string][]string{
	"act.begun": actors, "act.done": actors,
	"batch.fetched": batches, "batch.written": batches,
	"project.rendered": projections, "project.written": projections,
	"archive.written":        {"archive"},
	"checkpoint.before_save": lanes(), "checkpoint.saved": lanes(),
	"sweep.begun": sweeps, "sweep.done": sweeps,
}

// The lanes of the shop, by what they do, and its periodic sweeps. The decide lanes are named like the workers.
var (
	actors      = []string{"notifications.mail", "payments.stripe"}
	projections = []string{"orders.projection", "payments.projection"}
	batches     = append([]string{"archive"}, projections...)
	timers      = []string{"orders.timers"}
	sweeps      = []string{"orders-expiry-sweep", "payments-reconcile"}
)

func lanes() []string { return slices.Concat(workers, actors, batches, timers) }

// programs says which programs of a fleet pass the points that every process has for itself. In cmd/shop they are one.
var programs = map[string][]string{
	"append.gathered": workers, "append.stored": workers,
	"append.half_sent": {"inventory"}, // a hold is always several facts; elsewhere a batch needs a crowd
	"decide.fetched":   workers, "decide.decided": workers, "decide.committed": workers,
}

// seldom are the points and places that an order passes only when its time is up, so nobody waits there for a second.
var seldom = []string{"orders-expiry-sweep", "payments-reconcile", "payments.before_cancel", "payments.after_cancel", "timers.fired"}

// sites are all moments in all places of a kind of world.
func sites(kind string) (all []site) {
	for _, p := range failpoint.Points() {
		switch {
		case p.Placed:
			for _, place := range places[p.Name] {
				all = append(all, site{Trigger: failpoint.Trigger{Point: p.Name, Place: place, Pass: 1}})
			}
		case kind == "fleet" && programs[p.Name] != nil:
			for _, program := range programs[p.Name] {
				all = append(all, site{Trigger: failpoint.Trigger{Point: p.Name, Pass: 1}, program: program})
			}
		default:
			all = append(all, site{Trigger: failpoint.Trigger{Point: p.Name, Pass: 1}})
		}
	}
	return all
}

// Every placed point has its places, and no others have any.
func TestSitesCoverThePoints(t *testing.T) {
	t.Parallel()
	var placed, single []string
	for _, p := range failpoint.Points() {
		if p.Placed {
			placed = append(placed, p.Name)
		} else {
			single = append(single, p.Name)
		}
	}
	slices.Sort(placed)
	if diff := cmp.Diff(placed, slices.Sorted(maps.Keys(places))); diff != "" {
		t.Errorf("points with places (-table +here):\n%s", diff)
	}
	for point := range programs {
		if !slices.Contains(single, point) {
			t.Errorf("%s is said to be passed in each program, and is not among the points without a place", point)
		}
	}
}
