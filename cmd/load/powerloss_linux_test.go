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
	powerCuts = 2  // default of POWERLOSS_ROUNDS
	cutOrders = 60 // per power cut
	diskSize  = 512 << 20
)

// Row 11 of the fault matrix: the power fails at random moments while shoppers buy, and the disk keeps a random part of its
// cache. The shop is restarted on the rest, and every order that was answered 201 is confirmed. Stripe and the mail server
// run on other machines and keep their data.
func TestPowerLoss(t *testing.T) {
	rounds := roundsOf(t) // read also in the outer process, so that go test does not return a cached result for another number
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

// insideWithDisks reports whether this process can make disks. It skips the test on machines that cannot, and under the race
// detector, which other tests run a shop with.
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

// poweredShop is a shop on a disk whose power can fail.
type poweredShop struct {
	*killedShop
	drive        *disktest.Drive
	random       *rand.Rand
	remote       string // data of other machines
	acknowledged []string
}

func newPoweredShop(t *testing.T, random *rand.Rand) *poweredShop {
	t.Helper()
	s := &poweredShop{killedShop: newKilledShop(t), drive: disktest.NewDrive(t, diskSize), random: random, remote: t.TempDir()}
	s.useDrive(t)
	return s
}

// useDrive puts the shop's data on the drive, except for that of Stripe and the mail server.
func (s *poweredShop) useDrive(t *testing.T) {
	t.Helper()
	s.data = filepath.Join(s.drive.Dir, "data")
	s.args[1] = s.data // after --data
	for _, name := range []string{"stripe", "mail"} {
		err := errors.Join(os.MkdirAll(s.data, 0o755), os.MkdirAll(filepath.Join(s.remote, name), 0o755))
		if link := os.Symlink(filepath.Join(s.remote, name), filepath.Join(s.data, name)); !errors.Is(link, fs.ErrExist) {
			err = errors.Join(err, link)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// round cuts the power while shoppers buy, restarts the shop and verifies it.
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
	s.acknowledged = append(s.acknowledged, linesOf(t, file)...)
	s.verify(t, s.acknowledged)
}

// powerCut stops the machine at once. Nothing of the disk's cache survives, everything, or a random part.
func (s *poweredShop) powerCut(t *testing.T) {
	t.Helper()
	chance := s.random.IntN(3)
	proc.Freeze(t, s.shop)
	s.drive.Cut(t, func() bool { return s.random.IntN(2) < chance })
	proc.Check(t, s.shop.Kill())
	s.drive.Restore(t)
	s.useDrive(t)
}
