package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// written is what was handed on, batch by batch.
type written struct {
	mu      sync.Mutex
	batches [][]uint64
}

func (w *written) write(_ context.Context, items []*worker.Item) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batches = append(w.batches, sequences(items))
	return nil
}

func sequences(items []*worker.Item) []uint64 {
	sequences := make([]uint64, len(items))
	for i, item := range items {
		sequences[i] = item.Sequence
	}
	return sequences
}

func (w *written) all() []uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Concat(w.batches...)
}

func (w *written) sizes() (sizes []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.batches {
		sizes = append(sizes, len(b))
	}
	return sizes
}

// upTo is the sequences from first to last.
func upTo(first, last uint64) (sequences []uint64) {
	for s := first; s <= last; s++ {
		sequences = append(sequences, s)
	}
	return sequences
}

func copying(handle func(context.Context, []*worker.Item) error) worker.Batch {
	return worker.Batch{Name: "copy", Kind: worker.KindArchive, Handle: handle, Window: time.Millisecond}
}

func batches(b ...worker.Batch) worker.Config { return worker.Config{Batches: b} }

// Everything is handed on, in order, in batches that follow each other, across a restart as well. What cannot be written is
// tried again until it can: nothing behind it is handed on before.
func TestBatchesFollowEachOther(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placeMany(t, l, "before", 3000)
	var w written
	var tries [][]uint64
	b := copying(func(ctx context.Context, items []*worker.Item) error {
		tries = append(tries, sequences(items))
		if len(tries)%3 != 0 {
			return errors.New("the database is away")
		}
		return w.write(ctx, items)
	})
	b.Max = 700
	p := start(t, l, batches(b))
	place(t, l, "a", "b", "c")
	p.caughtUp(t, "copy")
	p.stop()
	for i, try := range tries {
		if again := tries[i-i%3]; !slices.Equal(try, again) {
			t.Errorf("after a failure %d to %d was tried, want %d to %d again", try[0], try[len(try)-1], again[0], again[len(again)-1])
		}
	}
	place(t, l, "d")
	b.Handle = w.write
	start(t, l, batches(b)).caughtUp(t, "copy")
	if got, want := w.all(), upTo(1, end(t, l)); !slices.Equal(got, want) {
		t.Errorf("%d were written, want %d, each once and in order", len(got), len(want))
	}
	for _, size := range w.sizes() {
		if size > b.Max {
			t.Errorf("a batch of %d, want at most %d", size, b.Max)
		}
	}
}

// Row 69 of the fault matrix: a batch fails, the worker is told to stop, and more waits. Nothing of that is written: the
// successor begins with the batch that failed.
func TestAStopAfterAFailedBatchLeavesNoGap(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placeMany(t, l, "o", 50)
	var w written
	failing, fail := make(chan struct{}, 1), make(chan struct{})
	handed := 0
	b := copying(func(ctx context.Context, items []*worker.Item) error {
		if handed++; handed == 2 {
			failing <- struct{}{}
			<-fail
			return errors.New("the database is away")
		}
		return w.write(ctx, items)
	})
	b.Max = 10
	p := start(t, l, batches(b))
	<-failing
	p.cancel()
	close(fail)
	p.stop()
	if handed != 2 {
		t.Errorf("handed on %d times, want twice", handed)
	}
	c, err := l.LoadCheckpoint(t.Context(), "copy")
	if err != nil || c.Position != 10 {
		t.Errorf("the checkpoint is at %d (%v), want 10", c.Position, err)
	}
	b.Handle = w.write
	start(t, l, batches(b)).caughtUp(t, "copy")
	if got, want := w.all(), upTo(1, 50); !slices.Equal(got, want) {
		t.Errorf("written were %v, want %v", got, want)
	}
}

// What was gathered when a worker is told to stop is written; what waits besides is left to the successor.
func TestAStopWritesWhatWasGathered(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placeMany(t, l, "o", 50)
	var first, second written
	writing, write := make(chan struct{}, 100), make(chan struct{})
	b := copying(func(ctx context.Context, items []*worker.Item) error {
		writing <- struct{}{}
		<-write
		return first.write(ctx, items)
	})
	b.Max, b.Window = 10, time.Hour // full batches alone: the reader may still be reading
	p := start(t, l, batches(b))
	<-writing
	p.cancel()
	close(write)
	p.stop()
	b.Handle = second.write
	start(t, l, batches(b)).caughtUp(t, "copy")
	if got, want := first.all(), upTo(1, 10); !slices.Equal(got, want) {
		t.Errorf("the first one wrote %v, want %v", got, want)
	}
	if got, want := second.all(), upTo(11, 50); !slices.Equal(got, want) {
		t.Errorf("the second one wrote %v, want %v", got, want)
	}
}

// What arrives within the window goes with what was there before, and a batch that is full does not wait for the window.
func TestWhatArrivesWithinTheWindowGoesAlong(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var w written
	b := copying(w.write)
	b.Window, b.Max = time.Hour, 5
	p := start(t, l, batches(b))
	for i := range 10 {
		place(t, l, fmt.Sprint("o", i))
	}
	until(t, "two batches are full", func() bool { return len(w.all()) == 10 })
	place(t, l, "last")
	p.stop()
	if got := w.sizes(); !slices.Equal(got[:2], []int{5, 5}) {
		t.Errorf("batches of %v, want of 5", got)
	}
	var short written
	forget(t, l, "copy")
	b.Handle, b.Window, b.Max = short.write, 300*time.Millisecond, 100
	p = start(t, l, batches(b))
	p.caughtUp(t, "copy")
	if got := short.sizes(); len(got) > 2 { // two where the reader has just begun
		t.Errorf("batches of %v, want one of all", got)
	}
}

// A batch does not wait for the rest of its window once nothing more arrives.
func TestABatchIsHandedOnWhenItIsQuiet(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var w written
	b := copying(w.write)
	b.Window, b.Quiet = time.Hour, 100*time.Millisecond
	start(t, l, batches(b))
	for i := range 5 {
		place(t, l, fmt.Sprint("o", i))
	}
	until(t, "all are handed on", func() bool { return len(w.all()) == 5 })
}

// A lane hands on what it cares about, and its place moves on over the rest.
func TestABatchLanePassesOverWhatItDoesNotCareFor(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var w written
	b := copying(w.write)
	b.Kind = worker.KindProject
	b.Cares = func(item *worker.Item) bool { return item.Type() == "payments.failed" }
	p := start(t, l, batches(b))
	placeMany(t, l, "o", 1500)
	fail := func(id string) {
		t.Helper()
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return payments.Append(tx, id, events.PaymentFailed{}) }); err != nil {
			t.Fatal(err)
		}
	}
	fail("a")
	placeMany(t, l, "p", 10)
	fail("b")
	placeMany(t, l, "q", 10)
	p.caughtUp(t, "copy")
	if got := w.all(); !slices.Equal(got, []uint64{1501, 1512}) {
		t.Errorf("written were %v, want 1501 and 1512", got)
	}
	p.stop()
	if c, err := l.LoadCheckpoint(t.Context(), "copy"); err != nil || c.Position != end(t, l) {
		t.Errorf("the checkpoint is at %d (%v), want %d", c.Position, err, end(t, l))
	}
}

// A lane is prepared before its first batch, again until that succeeds, and goes on where it is told to: at the start, and
// when what it writes to does not end where a batch begins.
func TestABatchLaneGoesOnWhereItIsToldTo(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placeMany(t, l, "o", 20)
	var w written
	var asked []uint64
	replaced := false
	b := copying(func(ctx context.Context, items []*worker.Item) error {
		if len(w.all()) > 0 && !replaced {
			replaced = true
			return fmt.Errorf("it ends at 3: %w", worker.ErrReposition)
		}
		return w.write(ctx, items)
	})
	b.Max = 8
	b.Prepare = func(_ context.Context, checkpoint uint64) (uint64, error) {
		asked = append(asked, checkpoint)
		switch {
		case len(asked) == 1:
			return 0, errors.New("the database is away")
		case replaced:
			return 3, nil
		}
		return 5, nil
	}
	p := start(t, l, batches(b))
	p.caughtUp(t, "copy")
	if want := slices.Concat(upTo(6, 13), upTo(4, 20)); !slices.Equal(w.all(), want) {
		t.Errorf("written were %v, want %v", w.all(), want)
	}
	if len(asked) != 3 || asked[0] != 0 {
		t.Errorf("asked where to go on from %v, want three times", asked)
	}
}

// Where the log turns out to have lost what was written of it the worker ends, and says so: nothing may go on.
func TestALogThatWentBackEndsTheWorker(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	b := copying((&written{}).write)
	b.Prepare = func(context.Context, uint64) (uint64, error) {
		return 0, fmt.Errorf("compare: %w", eventlog.ErrTruncated)
	}
	config := batches(b)
	config.Domains = []worker.Domain{marker(l), acting(1, idle)}
	w, err := worker.New(t.Context(), l, config)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.Run(t.Context()) }()
	if err := within(t, patience, ended, "the end"); !errors.Is(err, eventlog.ErrTruncated) || !strings.Contains(err.Error(), "copy") {
		t.Errorf("it ended with %v", err)
	}
}

// A batch that cannot be written is said, and a projection that waits for its database keeps nothing else waiting.
func TestABatchThatWaitsKeepsNothingElseWaiting(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	errAway := errors.New("the database is away")
	var mu sync.Mutex
	away := true
	config := batches(copying(func(context.Context, []*worker.Item) error {
		mu.Lock()
		defer mu.Unlock()
		if away {
			return errAway
		}
		return nil
	}))
	config.Domains = []worker.Domain{marker(l)}
	p := start(t, l, config)
	place(t, l, "a")
	until(t, "the worker says so", func() bool { return errors.Is(p.Degraded(), errAway) })
	place(t, l, "b")
	expect(t, l, events.PrefixReservation, 2)
	if p.Ready() != nil {
		t.Errorf("not ready: %v", p.Ready())
	}
	mu.Lock()
	away = false
	mu.Unlock()
	p.caughtUp(t, "copy")
	if p.Degraded() != nil {
		t.Errorf("degraded: %v", p.Degraded())
	}
}
