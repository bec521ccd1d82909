//go:build unix

package crashtest_test

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/proc"
)

var (
	sweepAll   = flag.Bool("sweep.all", false, "go through every point, in every world, by both signals")
	sweepPoint = flag.String("sweep.point", "", "go through this point alone, written as point, point@place or point/program")
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
	known := *sweepPoint == ""
	for _, kind := range []string{"single", "fleet"} {
		all := chosen(kind, seed)
		known = known || len(all) > 0
		for i, traps := range slices.Collect(slices.Chunk(all, perWorld)) {
			t.Run(fmt.Sprintf("%s-%d", kind, i+1), func(t *testing.T) {
				t.Parallel()
				sweep(t, kind, traps, seed)
			})
		}
	}
	if !known {
		t.Errorf("there is no point %q", *sweepPoint)
	}
}

// sweep opens a world and has it endure one round after the other.
func sweep(t *testing.T, kind string, traps []site, seed uint64) {
	w := opened[kind](t)
	w.hasLanes(t)
	c := openDoors(t, w, "shopper")
	for _, trap := range traps {
		failedBefore := t.Failed()
		endure(t, c, trap)
		if t.Failed() && !failedBefore {
			t.Logf("again: go test ./cmd/internal/proof/crashtest -run 'TestSweep/%s' -sweep.point %s -sweep.seed %d -v", kind, trap.name(), seed)
		}
	}
	c.close(t)
}

// sampled is how many moments of each sort a world is hurt at by default: about a minute's worth.
var sampled = map[string]struct{ kills, stops int }{"single": {5, 1}, "fleet": {2, 1}}

// chosen are the traps of one kind of world, in an order that mixes them. The one world may know a point that the other
// does not.
func chosen(kind string, seed uint64) []site {
	random := rand.New(rand.NewPCG(seed, uint64(len(kind))))
	var kills, stops []site
	for _, s := range sites(kind) {
		if *sweepPoint != "" && s.name() != *sweepPoint {
			continue
		}
		s.Pass = passOf(s, seed)
		kills = append(kills, s)
		s.Stop = true
		stops = append(stops, s)
	}
	for _, all := range [][]site{kills, stops} {
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	switch {
	case *sweepAll || *sweepPoint != "":
	case proc.Raced:
		kills, stops = kills[:2], nil
	default:
		kills, stops = kills[:sampled[kind].kills], stops[:sampled[kind].stops]
	}
	all := append(kills, stops...)
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// passOf is which time a moment counts. It follows from the seed and the site alone, so that one point by itself is passed
// as often as it was among all others. What all domains of one process pass counts more often, so that it is now in the
// middle of a hold, now of a payment.
func passOf(s site, seed uint64) int {
	if slices.Contains(seldom, s.Point) || slices.Contains(seldom, s.Place) {
		return 1
	}
	most := 3
	if s.program == "" && programs[s.Point] != nil {
		most = 12
	}
	name := fnv.New64a()
	_, _ = name.Write([]byte(s.name())) // a hash takes everything
	return 1 + rand.New(rand.NewPCG(seed, name.Sum64())).IntN(most)
}

// hasLanes expects the table of places to name exactly the lanes that the shop has.
func (w *world) hasLanes(t *testing.T) {
	t.Helper()
	reader, done, err := w.shop.Log(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	want := lanes()
	slices.Sort(want)
	var got []string
	defer func() {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("lanes (-table +shop):\n%s", diff)
		}
	}()
	proc.WaitFor(t, "every lane has run", 30*time.Second, func() bool {
		running, err := reader.Lanes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, l := range running {
			got = append(got, l.Name)
		}
		return len(got) >= len(want)
	})
}
