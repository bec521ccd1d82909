package log_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// tally is an entity that counts its own events: enough to see a lost update.
type tally struct {
	Events int
	Sum    int64
}

var tallies = log.Entity[tally]{Prefix: events.PrefixStock,
	Apply: func(s tally, e events.Event) (tally, error) {
		moved, ok := e.Payload.(events.StockAdjusted)
		if !ok {
			return s, fmt.Errorf("unexpected %s", e.Type)
		}
		return tally{Events: s.Events + 1, Sum: s.Sum + moved.Quantity}, nil
	}}

// balances is the same entity where every event carries the whole state.
var balances = log.Entity[int64]{Prefix: events.PrefixItem, LastOnly: true,
	Apply: func(_ int64, e events.Event) (int64, error) {
		return e.Payload.(events.StockAdjusted).After.OnHand, nil
	}}

func plus(quantity int64) events.StockAdjusted {
	return events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "A", Quantity: quantity}, Reason: "counted"}
}

func add(tx *log.Tx, id string, quantity int64) error {
	if _, err := tallies.Load(tx, id); err != nil {
		return err
	}
	return tallies.Append(tx, id, plus(quantity))
}

// Row 9 of the fault matrix: 50 goroutines on one entity, in two processes; no update is lost.
func TestManyWritersOfOneEntityLoseNothing(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	logs := []*log.Log{logtest.OpenOn(t, server), logtest.OpenOn(t, server)}
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			for range 4 {
				if err := logs[i%2].Do(t.Context(), func(tx *log.Tx) error { return add(tx, "hot", 1) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for _, l := range logs {
		got, _, err := tallies.Read(t.Context(), l, "hot")
		if err != nil || got != (tally{Events: 200, Sum: 200}) {
			t.Errorf("got %+v, %v; want 200 events summing to 200", got, err)
		}
	}
}

// Row 8 of the fault matrix: of 300 requests in one group commit one conflicts; it alone is decided again.
func TestOnlyTheConflictingRequestOfAGroupDecidesAgain(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	if err := ours.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "id-7", 1) }); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "id-7", 1) }); err != nil {
		t.Fatal(err)
	}
	var runs atomic.Int64 // ours still remembers id-7 at one event
	var group sync.WaitGroup
	for i := range 300 {
		group.Go(func() {
			id := fmt.Sprintf("id-%d", i)
			if err := ours.Do(t.Context(), func(tx *log.Tx) error { runs.Add(1); return add(tx, id, 1) }); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if runs.Load() != 301 {
		t.Errorf("decided %d times, want 301: 300 requests and one conflict", runs.Load())
	}
	got, _, err := tallies.Read(t.Context(), ours, "id-7")
	if err != nil || got.Events != 3 {
		t.Errorf("id-7 has %+v, %v; want 3 events", got, err)
	}
}

func TestATransactionIsStoredWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	tx := ours.Begin(t.Context())
	for _, id := range []string{"a", "b", "c"} {
		if err := add(tx, id, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := theirs.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "c", 1) }); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); !log.IsConflict(err) {
		t.Fatalf("commit after c moved on: %v, want a conflict", err)
	}
	for _, id := range []string{"a", "b"} {
		if _, _, err := tallies.Read(t.Context(), ours, id); !errors.Is(err, log.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", id, err)
		}
	}
}

func TestADecisionThatOnlyReadsIsNotMadeOnAnOldState(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	for _, l := range []*log.Log{ours, theirs} {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
			t.Fatal(err)
		}
	}
	var seen []int
	err := ours.Do(t.Context(), func(tx *log.Tx) error {
		state, err := tallies.Load(tx, "a")
		seen = append(seen, state.Events)
		return err
	})
	if err != nil || len(seen) != 2 || seen[1] != 2 {
		t.Errorf("saw %v, %v; want the remembered 1, then 2", seen, err)
	}
}

func TestLoadNewFindsOutThatTheEntityExists(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	if err := theirs.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
		t.Fatal(err)
	}
	var seen []int
	err := ours.Do(t.Context(), func(tx *log.Tx) error {
		state, err := tallies.LoadNew(tx, "a")
		seen = append(seen, state.Events)
		if err != nil || state.Events > 0 {
			return err
		}
		return tallies.Append(tx, "a", plus(1))
	})
	if err != nil || fmt.Sprint(seen) != "[0 1]" {
		t.Errorf("saw %v, %v; want 0, then 1", seen, err)
	}
}

func TestRollBackForgetsTheLastFactsOnly(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	err := l.Do(t.Context(), func(tx *log.Tx) error {
		if err := add(tx, "a", 1); err != nil {
			return err
		}
		mark := tx.Len()
		if err := errors.Join(add(tx, "a", 10), add(tx, "b", 10)); err != nil {
			return err
		}
		tx.RollBack(mark)
		return add(tx, "a", 2)
	})
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := tallies.Read(t.Context(), l, "a")
	if err != nil || got != (tally{Events: 2, Sum: 3}) {
		t.Errorf("a is %+v, %v; want 2 events summing to 3", got, err)
	}
	if _, _, err := tallies.Read(t.Context(), l, "b"); !errors.Is(err, log.ErrNotFound) {
		t.Errorf("b: %v, want ErrNotFound", err)
	}
}

func TestABigTransactionAndOneThatIsTooBig(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	fill := func(n int) error {
		return l.Do(t.Context(), func(tx *log.Tx) error {
			for i := range n {
				if err := add(tx, fmt.Sprintf("sku-%d", i), 1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := fill(log.MaxBatch + 1); !errors.Is(err, log.ErrTooLarge) {
		t.Errorf("%d facts: %v, want ErrTooLarge", log.MaxBatch+1, err)
	}
	if err := fill(log.MaxBatch); err != nil {
		t.Errorf("%d facts: %v", log.MaxBatch, err)
	}
}

// Row 16 of the fault matrix: a stream that somebody changed is not written to.
func TestAChangedStreamIsRefused(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l := logtest.OpenOn(t, server)
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Discard = jetstream.DiscardOld
	if _, err := l.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	_, err = log.Open(t.Context(), logtest.Connect(t, server), log.Config{Source: "test"})
	if !errors.Is(err, log.ErrDrift) {
		t.Fatalf("got %v, want ErrDrift", err)
	}
	t.Log(err)
}

// A tool that only looks makes no shop where there is none, and opens the one that is there.
func TestAToolMakesNoShop(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	look := func(c *log.Config) { c.Source, c.MustExist = "ops", true }
	config := log.Config{}
	look(&config)
	if _, err := log.Open(t.Context(), logtest.Connect(t, server), config); !errors.Is(err, log.ErrNoShop) {
		t.Errorf("on an empty broker: %v, want ErrNoShop", err)
	}
	shop := logtest.OpenOn(t, server)
	if err := shop.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
		t.Fatal(err)
	}
	if got, _, err := tallies.Read(t.Context(), logtest.OpenOn(t, server, look), "a"); err != nil || got.Events != 1 {
		t.Errorf("in a shop: %+v, %v; want one event", got, err)
	}
}

// A broker that is known to lose parts of batches, or to skip damaged records, is not used.
func TestAnOldBrokerIsRefused(t *testing.T) {
	t.Parallel()
	for version, ok := range map[string]bool{
		"2.14.6": true, "2.14.7": true, "2.15.0": true, "2.15.0-RC.1": true, "2.15.2": true, "3.0.0": true,
		"2.14.5": false, "2.13.9": false, "1.99.99": false, "": false, "2": false, "2.15": false, "two.15.2": false,
	} {
		if err := log.CheckVersion(version); (err == nil) != ok {
			t.Errorf("nats-server %q: %v, want ok %t", version, err, ok)
		}
	}
}

func TestAClosedConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	conn := logtest.Connect(t, server)
	l, err := log.Open(t.Context(), conn, log.Config{Source: "test", Owns: []string{""}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn.Close()
	err = l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) })
	if !errors.Is(err, log.ErrUnavailable) || !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestARefusalIsNotDecidedOnAnOldState(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	for _, l := range []*log.Log{ours, theirs} {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
			t.Fatal(err)
		}
	}
	refused := errors.New("too few")
	err := ours.Do(t.Context(), func(tx *log.Tx) error {
		state, err := tallies.Load(tx, "a")
		if err == nil && state.Sum < 2 {
			err = refused
		}
		return err
	})
	if err != nil {
		t.Errorf("refused on an old state: %v", err)
	}
}

func TestCommitEachStoresUnitsApartAndJoinsThoseOfOneEntity(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	tx := ours.Begin(t.Context())
	decide := func(ids ...string) int {
		unit := tx.Unit()
		for _, id := range ids {
			if err := add(tx, id, 1); err != nil {
				t.Fatal(err)
			}
		}
		return unit
	}
	alone, taken, joined, last := decide("a"), decide("b", "c"), decide("c", "d"), decide("e")
	if err := theirs.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "b", 1) }); err != nil {
		t.Fatal(err)
	}
	outcome := tx.CommitEach()
	if outcome(alone) != nil || outcome(last) != nil {
		t.Errorf("untouched units: %v, %v", outcome(alone), outcome(last))
	}
	if !log.IsConflict(outcome(taken)) || !log.IsConflict(outcome(joined)) {
		t.Errorf("joined units: %v, %v, want conflicts", outcome(taken), outcome(joined))
	}
	for id, want := range map[string]int{"a": 1, "b": 1, "c": 0, "d": 0, "e": 1} {
		if got, _, err := tallies.Read(t.Context(), ours, id); got.Events != want {
			t.Errorf("%s has %d events (%v), want %d", id, got.Events, err, want)
		}
	}
}
