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

// written records the sequences that were passed to Handle, batch by batch.
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

// sequenceRange returns the sequences from first to last.
func sequenceRange(first, last uint64) (sequences []uint64) {
	for s := first; s <= last; s++ {
		sequences = append(sequences, s)
	}
	return sequences
}

func copyBatch(handle func(context.Context, []*worker.Item) error) worker.Batch {
	return worker.Batch{Name: "copy", Kind: worker.KindArchive, Handle: handle, Window: time.Millisecond}
}

func configOfBatches(b ...worker.Batch) worker.Config { return worker.Config{Batches: b} }

// Every message is passed to Handle, in order, in consecutive batches, across a restart too. A batch that cannot be written
// is repeated until it can; no later message is passed before that.
func TestBatchesAreConsecutiveAcrossFailuresAndRestarts(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placeMany(t, l, "before", 3000)
	var w written
	var tries [][]uint64
	b := copyBatch(func(ctx context.Context, items []*worker.Item) error {
		tries = append(tries, sequences(items))
		if len(tries)%3 != 0 {
			return errors.New("database unavailable")
		}
		return w.write(ctx, items)
	})
	b.Max = 700
	p := start(t, l, configOfBatches(b))
	place(t, l, "a", "b", "c")
	p.caughtUp(t, "copy")
	p.stop()
	for i, try := range tries {
		if again := tries[i-i%3]; !slices.Equal(try, again) {
			t.Errorf("after a failure: got batch %d to %d, want %d to %d again", try[0], try[len(try)-1], again[0], again[len(again)-1])
		}
	}
	place(t, l, "d")
	b.Handle = w.write
	start(t, l, configOfBatches(b)).caughtUp(t, "copy")
	if got, want := w.all(), sequenceRange(1, lastSequence(t, l)); !slices.Equal(got, want) {
		t.Errorf("got %d messages, want %d, each once and in order", len(got), len(want))
	}
	for _, size := range w.sizes() {
		if size > b.Max {
			t.Errorf("got a batch of %d, want at most %d", size, b.Max)
		}
	}
}

// Row 69 of the fault matrix: a batch fails, the worker is stopped, and more messages wait. None of them is written;
// the next holder begins with the batch that failed.
func TestStopAfterAFailedBatchLeavesNoGap(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placeMany(t, l, "o", 50)
	var w written
	failing, fail := make(chan struct{}, 1), make(chan struct{})
	handed := 0
	b := copyBatch(func(ctx context.Context, items []*worker.Item) error {
		if handed++; handed == 2 {
			failing <- struct{}{}
			<-fail
			return errors.New("database unavailable")
		}
		return w.write(ctx, items)
	})
	b.Max = 10
	p := start(t, l, configOfBatches(b))
	<-failing
	p.cancel()
	close(fail)
	p.stop()
	if handed != 2 {
		t.Errorf("got %d calls of Handle, want 2", handed)
	}
	c, err := l.LoadCheckpoint(t.Context(), "copy")
	if err != nil || c.Position != 10 {
		t.Errorf("checkpoint: got %d (%v), want 10", c.Position, err)
	}
	b.Handle = w.write
	start(t, l, configOfBatches(b)).caughtUp(t, "copy")
	if got, want := w.all(), sequenceRange(1, 50); !slices.Equal(got, want) {
		t.Errorf("written: got %v, want %v", got, want)
	}
}

// The messages that are gathered when a worker is stopped are written; the next holder writes the rest.
func TestStopWritesTheGatheredBatch(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placeMany(t, l, "o", 50)
	var first, second written
	writing, write := make(chan struct{}, 100), make(chan struct{})
	b := copyBatch(func(ctx context.Context, items []*worker.Item) error {
		writing <- struct{}{}
		<-write
		return first.write(ctx, items)
	})
	b.Max, b.Window = 10, time.Hour // only full batches are passed to Handle while the reader catches up
	p := start(t, l, configOfBatches(b))
	<-writing
	p.cancel()
	close(write)
	p.stop()
	b.Handle = second.write
	start(t, l, configOfBatches(b)).caughtUp(t, "copy")
	if got, want := first.all(), sequenceRange(1, 10); !slices.Equal(got, want) {
		t.Errorf("the first worker wrote %v, want %v", got, want)
	}
	if got, want := second.all(), sequenceRange(11, 50); !slices.Equal(got, want) {
		t.Errorf("the second worker wrote %v, want %v", got, want)
	}
}

// Messages that arrive within the window are in one batch, and a full batch does not wait for the window.
func TestWindowGathersMessagesUpToAFullBatch(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var w written
	b := copyBatch(w.write)
	b.Window, b.Max = time.Hour, 5
	p := start(t, l, configOfBatches(b))
	for i := range 10 {
		place(t, l, fmt.Sprint("o", i))
	}
	waitUntil(t, "two batches are full", func() bool { return len(w.all()) == 10 })
	place(t, l, "last")
	p.stop()
	if got := w.sizes(); !slices.Equal(got[:2], []int{5, 5}) {
		t.Errorf("batches: got %v, want 5 and 5 first", got)
	}
	var short written
	deleteCheckpoint(t, l, "copy")
	b.Handle, b.Window, b.Max = short.write, 300*time.Millisecond, 100
	p = start(t, l, configOfBatches(b))
	p.caughtUp(t, "copy")
	if got := short.sizes(); len(got) > 2 { // two if the reader has just begun
		t.Errorf("batches: got %v, want one", got)
	}
}

// A batch does not wait for the rest of its window once no message arrives.
func TestQuietEndsTheWindowEarly(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var w written
	b := copyBatch(w.write)
	b.Window, b.Quiet = time.Hour, 100*time.Millisecond
	start(t, l, configOfBatches(b))
	for i := range 5 {
		place(t, l, fmt.Sprint("o", i))
	}
	waitUntil(t, "all are passed to Handle", func() bool { return len(w.all()) == 5 })
}

// A batch lane passes only the messages that its filter selects to Handle, and its position advances over the others.
func TestBatchLaneSkipsMessagesOutsideItsFilter(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var w written
	b := copyBatch(w.write)
	b.Kind = worker.KindProject
	b.Filter = func(item *worker.Item) bool { return item.Type() == "payments.failed" }
	p := start(t, l, configOfBatches(b))
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
		t.Errorf("written: got %v, want 1501 and 1512", got)
	}
	p.stop()
	if c, err := l.LoadCheckpoint(t.Context(), "copy"); err != nil || c.Position != lastSequence(t, l) {
		t.Errorf("checkpoint: got %d (%v), want %d", c.Position, err, lastSequence(t, l))
	}
}

// When the log has lost what was written from it the worker stops with an error, because no lane may continue.
func TestTruncatedLogStopsTheWorker(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	b := copyBatch((&written{}).write)
	b.Prepare = func(context.Context, uint64) (uint64, error) {
		return 0, fmt.Errorf("compare: %w", eventlog.ErrTruncated)
	}
	config := configOfBatches(b)
	config.Domains = []worker.Domain{marker(l), acting(1, idle)}
	w, err := worker.New(t.Context(), l, config)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- w.Run(t.Context()) }()
	if err := receive(t, patience, ended, "Run returns"); !errors.Is(err, eventlog.ErrTruncated) || !strings.Contains(err.Error(), "copy") {
		t.Errorf("Run: got %v, want ErrTruncated of the lane copy", err)
	}
}

// A batch that cannot be written is reported, and a projection that waits for its database delays no other lane.
func TestProjectionThatWaitsDelaysNoOtherLane(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	errDatabase := errors.New("database unavailable")
	var mu sync.Mutex
	unavailable := true
	config := configOfBatches(copyBatch(func(context.Context, []*worker.Item) error {
		mu.Lock()
		defer mu.Unlock()
		if unavailable {
			return errDatabase
		}
		return nil
	}))
	config.Domains = []worker.Domain{marker(l)}
	p := start(t, l, config)
	place(t, l, "a")
	waitUntil(t, "the worker is degraded", func() bool { return errors.Is(p.Degraded(), errDatabase) })
	place(t, l, "b")
	waitEvents(t, l, events.PrefixReservation, 2)
	if p.Ready() != nil {
		t.Errorf("ready: got %v, want nil", p.Ready())
	}
	mu.Lock()
	unavailable = false
	mu.Unlock()
	p.caughtUp(t, "copy")
	if p.Degraded() != nil {
		t.Errorf("degraded: got %v, want nil", p.Degraded())
	}
}
