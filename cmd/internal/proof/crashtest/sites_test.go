//go:build unix

package crashtest_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events/failpoint"
)

// site is a failpoint in one place or program, at which a process is killed or suspended.
type site struct {
	failpoint.Trigger
	program string // empty: the first program that reaches it
}

// name is the site in the form of -sweep.point: "point", "point@place" or "point/program".
func (s site) name() string {
	if s.program == "" {
		return s.Site()
	}
	return s.Site() + "/" + s.program
}

// String includes the signal and the count.
func (s site) String() string {
	if s.program == "" {
		return s.Trigger.String()
	}
	return s.Trigger.String() + " in " + s.program
}

// places are the places of failpoints that have several. Other failpoints have one place.
var places = map[string][]string{
	"act.begun": actors, "act.done": actors,
	"batch.fetched": batches, "batch.written": batches,
	"project.rendered": projections, "project.written": projections,
	"archive.written":        {"archive"},
	"checkpoint.before_save": lanes(), "checkpoint.saved": lanes(),
	"periodic.begun": sweeps, "periodic.done": sweeps,
	"replay.handled": replaying, "replay.answered": replaying,
}

// The lanes of the shop by kind, and its periodic jobs. Decide lanes are named like their workers.
var (
	actors      = []string{"notifications.mail", "payments.stripe"}
	projections = []string{"orders.projection", "payments.projection"}
	batches     = append([]string{"archive"}, projections...)
	timers      = []string{"orders.timers"}
	sweeps      = []string{"orders-expiry-sweep", "payments-reconcile"}
	replaying   = slices.Concat(workers, actors) // the lanes that handle events again
)

func lanes() []string { return slices.Concat(workers, actors, batches, timers) }

// programs are the programs of a fleet that pass a failpoint. In cmd/shop they are one process.
var programs = map[string][]string{
	"append.gathered": workers, "append.stored": workers,
	"append.half_sent": {"inventory"}, // a reservation is always several events; other batches need concurrent orders
	"decide.fetched":   workers, "decide.decided": workers, "decide.committed": workers,
}

// rare are the failpoints and places that an order passes only when it expires or is refunded, or a lane once in a replay, so only the
// first pass is used.
var rare = []string{"orders-expiry-sweep", "payments-reconcile", "payments.before_cancel", "payments.after_cancel", "payments.before_refund",
	"payments.after_refund", "timers.fired",
	"replay.handled", "replay.answered"}

// sites returns all failpoints in all places of a kind of deployment.
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

// The tables name all failpoints with places, and no others.
func TestSitesCoverFailpoints(t *testing.T) {
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
		t.Errorf("failpoints with places (-failpoint +places):\n%s", diff)
	}
	for point := range programs {
		if !slices.Contains(single, point) {
			t.Errorf("programs[%q]: got a failpoint with places or an unknown one, want one without", point)
		}
	}
}
