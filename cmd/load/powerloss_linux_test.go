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
	"tillstream/events"
	eventlog "tillstream/events/log"
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
	t.Parallel()
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
	proc.MustBuild(t, shopProgram) // once, for all tests that run inside
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

// powerCut cuts the power of the shop's machine. Of the disk's cache, nothing, a random half or everything survives.
func (s *poweredShop) powerCut(t *testing.T) {
	t.Helper()
	chance := s.random.IntN(3)
	proc.Freeze(t, s.shop)
	s.drive.Cut(t, func() bool { return s.random.IntN(2) < chance })
	proc.Check(t, s.shop.Kill())
	s.drive.Restore(t)
	s.useDrive(t)
}

// Control of TestPowerLoss: the same power cut under a broker that syncs before it acknowledges loses nothing, and under a
// broker with the default sync interval of two minutes it must lose events. Otherwise the test would detect nothing.
func TestPowerLossLosesUnsyncedEvents(t *testing.T) {
	t.Parallel()
	if !insideWithDisks(t) {
		return
	}
	const appended = 300
	for _, interval := range []string{"always", "2m"} {
		drive := disktest.NewDrive(t, diskSize)
		b := newStoredBroker(t, drive.Dir, interval)
		b.fill(t, appended)
		proc.Freeze(t, b.process)
		drive.Cut(t, func() bool { return false })
		proc.Check(t, b.process.Kill())
		drive.Restore(t)
		b.store = drive.Dir
		b.start(t)
		lost := appended - int(b.stored(t))
		t.Logf("sync_interval %s: %d of %d acknowledged events lost", interval, lost, appended)
		if (lost > 0) != (interval != "always") {
			t.Errorf("sync_interval %s: lost %d of %d acknowledged events, want a loss only without sync", interval, lost, appended)
		}
	}
}

// fill appends events one by one and expects each to be acknowledged.
func (b *storedBroker) fill(t *testing.T, n int) {
	t.Helper()
	l := b.open(t)
	for i := range n {
		id := fmt.Sprintf("order-%d", i)
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return counted.Append(tx, id, events.OrderPlaced{OrderID: id}) })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// stored returns the number of events in the log. The broker may have lost the whole stream.
func (b *storedBroker) stored(t *testing.T) uint64 {
	t.Helper()
	stream, err := b.open(t).JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}
