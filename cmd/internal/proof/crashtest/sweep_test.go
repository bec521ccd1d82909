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
	sweepAll   = flag.Bool("sweep.all", false, "test every failpoint in both deployments with both signals")
	sweepPoint = flag.String("sweep.point", "", "test only this failpoint: point, point@place or point/program")
	sweepSeed  = flag.Uint64("sweep.seed", 0, "seed of the random choices; 0: a random seed")
)

// perDeployment is the number of rounds of a deployment before a new one is opened.
const perDeployment = 12

// openers open the kinds of deployments.
var openers = map[string]func(*testing.T) *deployment{
	"single": func(t *testing.T) *deployment { t.Helper(); return openSingle(t) },
	"fleet":  func(t *testing.T) *deployment { t.Helper(); return openFleet(t) },
}

// Processes are killed and suspended at every failpoint; without -sweep.all at a few that the seed chooses. Rows of the fault
// matrix about particular failpoints have tests of their own, which always run. The failpoints of a replay are Row 56 of the fault matrix.
func TestSweep(t *testing.T) {
	if testing.Short() {
		t.Skip("kills and suspends dozens of processes")
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
		for i, targets := range slices.Collect(slices.Chunk(all, perDeployment)) {
			t.Run(fmt.Sprintf("%s-%d", kind, i+1), func(t *testing.T) {
				t.Parallel()
				sweep(t, kind, targets, seed)
			})
		}
	}
	if !known {
		t.Errorf("-sweep.point %q: unknown failpoint", *sweepPoint)
	}
}

// sweep opens a deployment and runs one round per site.
func sweep(t *testing.T, kind string, targets []site, seed uint64) {
	d := openers[kind](t)
	d.checkLanes(t)
	c := newCrowd(t, d, "shopper")
	for _, where := range targets {
		failedBefore := t.Failed()
		runRound(t, c, where)
		if t.Failed() && !failedBefore {
			t.Logf("repeat with: go test ./cmd/internal/proof/crashtest -run 'TestSweep/%s' -sweep.point %s -sweep.seed %d -v", kind, where.name(), seed)
		}
	}
	c.finish(t)
}

// sampled is the number of sites per deployment and signal without -sweep.all: about a minute of tests.
var sampled = map[string]struct{ kills, stops int }{"single": {5, 1}, "fleet": {2, 1}}

// chosen returns the sites of one kind of deployment in random order. The kinds have different failpoints.
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

// passOf returns at which pass a failpoint is triggered. It depends only on the seed and the site, so that -sweep.point repeats a
// round of -sweep.all. A failpoint that all domains of a process pass has more passes, so that it is triggered at different
// steps of an order.
func passOf(s site, seed uint64) int {
	if slices.Contains(rare, s.Point) || slices.Contains(rare, s.Place) {
		return 1
	}
	most := 3
	if s.program == "" && programs[s.Point] != nil {
		most = 12
	}
	name := fnv.New64a()
	_, _ = name.Write([]byte(s.name())) // never fails
	return 1 + rand.New(rand.NewPCG(seed, name.Sum64())).IntN(most)
}

// checkLanes expects the table of places to name exactly the lanes of the shop.
func (d *deployment) checkLanes(t *testing.T) {
	t.Helper()
	reader, done, err := d.shop.Log(t.Context())
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
