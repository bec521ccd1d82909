package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/disktest"
	"tillstream/cmd/internal/proof/proc"
)

const (
	powerCuts = 2  // POWERLOSS_ROUNDS sets another number
	cutOrders = 60 // bought around each
	diskSize  = 512 << 20
)

// Row 11 of the fault matrix: the power fails while shoppers buy, again and again. Whatever moment it fails at, and
// whatever of its cache the disk keeps: the shop is opened again on what is left, and every order that was answered 201
// comes to its end. Stripe and the mail server are other people's machines, and keep theirs.
func TestPowerLoss(t *testing.T) {
	rounds := roundsOf(t) // out here too, so that another number is another test to the cache of results
	if !insideWithDisks(t) {
		return
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newPoweredShop(t, rand.New(rand.NewPCG(seed, 0)))
	s.open(t)
	for number := range rounds {
		s.round(t, number)
	}
	proc.Check(t, s.shop.Stop(30*time.Second))
}

// insideWithDisks reports whether this is the process in which disks can be made, after having skipped the test where
// none can. Disks are the same under the race detector, and the other tests run a shop with it.
func insideWithDisks(t *testing.T) bool {
	t.Helper()
	if testing.Short() || proc.Raced {
		t.Skip("runs programs on a disk of its own")
	}
	if reason := disktest.Missing(); reason != "" {
		t.Skip(reason)
	}
	return disktest.Inside(t)
}

func roundsOf(t *testing.T) int {
	t.Helper()
	text := os.Getenv("POWERLOSS_ROUNDS")
	if text == "" {
		return powerCuts
	}
	rounds, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("POWERLOSS_ROUNDS: %v", err)
	}
	return rounds
}

// poweredShop is a shop on a disk whose power can be cut.
type poweredShop struct {
	*killedShop
	drive    *disktest.Drive
	random   *rand.Rand
	abroad   string // what is on other machines
	promised []string
}

func newPoweredShop(t *testing.T, random *rand.Rand) *poweredShop {
	t.Helper()
	s := &poweredShop{killedShop: newKilledShop(t), drive: disktest.NewDrive(t, diskSize), random: random, abroad: t.TempDir()}
	s.moveIn(t)
	return s
}

// moveIn has the shop keep its data on the drive, but for what is not its own.
func (s *poweredShop) moveIn(t *testing.T) {
	t.Helper()
	s.data = filepath.Join(s.drive.Dir, "data")
	s.args[1] = s.data // after --data
	for _, name := range []string{"stripe", "mail"} {
		err := errors.Join(os.MkdirAll(s.data, 0o755), os.MkdirAll(filepath.Join(s.abroad, name), 0o755))
		if link := os.Symlink(filepath.Join(s.abroad, name), filepath.Join(s.data, name)); !errors.Is(link, fs.ErrExist) {
			err = errors.Join(err, link)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// round lets shoppers buy, cuts the power while they do, opens the shop again and expects that all is well.
func (s *poweredShop) round(t *testing.T, number int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), fmt.Sprintf("acknowledged-%d", number))
	run := s.load(t, file, cutOrders)
	enough := 1 + s.random.IntN(cutOrders*2/3)
	proc.WaitFor(t, fmt.Sprintf("%d orders are acknowledged", enough), 2*time.Minute, func() bool {
		return len(linesOf(t, file)) >= enough || run.ended()
	})
	s.powerCut(t)
	s.open(t)
	if err := run.result(t); err != nil {
		t.Errorf("round %d: load: %v", number, err)
	}
	s.promised = append(s.promised, linesOf(t, file)...)
	s.verify(t, s.promised)
}

// powerCut stops the machine at once. Of what its disk has in the cache nothing survives, everything, or a random choice.
func (s *poweredShop) powerCut(t *testing.T) {
	t.Helper()
	chance := s.random.IntN(3)
	proc.Freeze(t, s.shop)
	s.drive.Cut(t, func() bool { return s.random.IntN(2) < chance })
	proc.Check(t, s.shop.Kill())
	s.drive.Restore(t)
	s.moveIn(t)
}
