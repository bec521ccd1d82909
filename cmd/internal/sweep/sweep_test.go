//go:build unix

package sweep_test

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/processtest"
	"tillstream/events"
	"tillstream/events/crash"
)

var (
	sweepAll   = flag.Bool("sweep.all", false, "go through every point, in every world, by both signals")
	sweepPoint = flag.String("sweep.point", "", "go through this point alone, written as point or point@place")
	sweepSeed  = flag.Uint64("sweep.seed", 0, "what is chosen at random is chosen by this; 0: something new")
)

// perWorld is how many rounds a world sees before it is closed and a fresh one is opened.
const perWorld = 12

// opened are the kinds of worlds.
var opened = map[string]func(*testing.T) *world{
	"single": func(t *testing.T) *world { t.Helper(); return openSingle(t) },
	"fleet":  func(t *testing.T) *world { t.Helper(); return openFleet(t) },
}

// The shop is hurt at every moment that has a name; without -sweep.all, at a few of them that the seed chooses. The
// moments that rows of the fault matrix are about are not among those: each has a test of its own, which always runs.
func TestSweep(t *testing.T) {
	if testing.Short() {
		t.Skip("hurts dozens of processes")
	}
	t.Parallel()
	seed := *sweepSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	for _, kind := range []string{"single", "fleet"} {
		for i, traps := range slices.Collect(slices.Chunk(chosen(t, kind, seed), perWorld)) {
			t.Run(fmt.Sprintf("%s-%d", kind, i+1), func(t *testing.T) {
				t.Parallel()
				sweep(t, kind, traps, seed)
			})
		}
	}
}

// sweep opens a world and has it endure one round after the other.
func sweep(t *testing.T, kind string, traps []crash.Trap, seed uint64) {
	w := opened[kind](t)
	w.hasConsumers(t)
	c := openDoors(t, w, "shopper")
	for _, trap := range traps {
		failedBefore := t.Failed()
		endure(t, c, trap)
		if t.Failed() && !failedBefore {
			t.Logf("again: go test ./cmd/internal/sweep -run 'TestSweep/%s' -sweep.point %s -sweep.seed %d -v", kind, trap.Site(), seed)
		}
	}
	c.close(t)
}

// sampled is how many moments of each sort a world is hurt at by default: about a minute's worth.
var sampled = map[string]struct{ kills, stops int }{"single": {5, 1}, "fleet": {2, 1}}

// chosen are the traps of one kind of world, in an order that mixes them.
func chosen(t *testing.T, kind string, seed uint64) []crash.Trap {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, uint64(len(kind))))
	var kills, stops []crash.Trap
	for _, site := range sites() {
		if *sweepPoint != "" && site.Site() != *sweepPoint {
			continue
		}
		site.Pass = passOf(site, seed)
		kills = append(kills, site)
		site.Stop = true
		stops = append(stops, site)
	}
	if len(kills) == 0 {
		t.Fatalf("there is no point %q", *sweepPoint)
	}
	for _, all := range [][]crash.Trap{kills, stops} {
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	switch {
	case *sweepAll || *sweepPoint != "":
	case processtest.Raced:
		kills, stops = kills[:2], nil
	default:
		kills, stops = kills[:sampled[kind].kills], stops[:sampled[kind].stops]
	}
	all := append(kills, stops...)
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// passOf is which time a moment counts. It follows from the seed and the site alone, so that one point by itself is passed
// as often as it was among all others.
func passOf(site crash.Trap, seed uint64) int {
	if slices.Contains(seldom, site.Point) || slices.Contains(seldom, site.Place) {
		return 1
	}
	name := fnv.New64a()
	_, _ = name.Write([]byte(site.Site())) // a hash takes everything
	return 1 + rand.New(rand.NewPCG(seed, name.Sum64())).IntN(3)
}

// hasConsumers expects the table of places to name exactly the consumers that the broker has.
func (w *world) hasConsumers(t *testing.T) {
	t.Helper()
	js := w.broker(t)
	var got []string
	for _, name := range []string{events.StreamInventory, events.StreamNotifications, events.StreamOrders, events.StreamPayments, events.StreamTimers} {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		names := stream.ConsumerNames(t.Context())
		for consumer := range names.Name() {
			got = append(got, consumer)
		}
		if err := names.Err(); err != nil {
			t.Fatal(err)
		}
	}
	want := slices.Concat(deciders, actors, views)
	slices.Sort(want)
	slices.Sort(got)
	got = slices.DeleteFunc(got, func(name string) bool { return !slices.Contains(want, name) && ephemeral(name) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("consumers (-table +broker):\n%s", diff)
	}
}

// ephemeral reports whether a name is one that a client made up: those of our own have dashes.
func ephemeral(name string) bool { return !slices.Contains([]byte(name), '-') }
