package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Prepare is repeated until it succeeds and decides where the lane continues: at the start, and when the destination
// does not end where a batch begins.
func TestPrepareDecidesWhereABatchLaneContinues(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placeMany(t, l, "o", 20)
	var w written
	var asked []uint64
	replaced := false
	b := copyBatch(func(ctx context.Context, items []*worker.Item) error {
		if len(w.all()) > 0 && !replaced {
			replaced = true
			return fmt.Errorf("the archive ends at 3: %w", worker.ErrReposition)
		}
		return w.write(ctx, items)
	})
	b.Max = 8
	b.Prepare = func(_ context.Context, checkpoint uint64) (uint64, error) {
		asked = append(asked, checkpoint)
		switch {
		case len(asked) == 1:
			return 0, errors.New("database unavailable")
		case replaced:
			return 3, nil
		}
		return 5, nil
	}
	p := start(t, l, configOfBatches(b))
	p.caughtUp(t, "copy")
	if want := slices.Concat(sequenceRange(6, 13), sequenceRange(4, 20)); !slices.Equal(w.all(), want) {
		t.Errorf("written: got %v, want %v", w.all(), want)
	}
	if len(asked) != 3 || asked[0] != 0 {
		t.Errorf("Prepare was called with %v, want 3 calls, the first with 0", asked)
	}
}

// Row 26 of the fault matrix: a lane that continues before its checkpoint has written that down before its first batch. If the process dies after the batch,
// the next holder would otherwise leave out what lies between.
func TestLaneThatContinuesBeforeItsCheckpointMovesItFirst(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placeMany(t, l, "o", 20)
	p := start(t, l, configOfBatches(copyBatch((&written{}).write)))
	p.caughtUp(t, "copy")
	p.stop()
	var at []uint64
	var w written
	b := copyBatch(func(ctx context.Context, items []*worker.Item) error {
		c, err := l.LoadCheckpoint(ctx, "copy")
		at = append(at, c.Position)
		return errors.Join(err, w.write(ctx, items))
	})
	b.Prepare = func(context.Context, uint64) (uint64, error) { return 3, nil }
	p = start(t, l, configOfBatches(b))
	p.caughtUp(t, "copy")
	p.stop()
	if len(at) == 0 || at[0] != 3 {
		t.Errorf("checkpoint at each batch: got %v, want 3 at the first", at)
	}
	if want := sequenceRange(4, 20); !slices.Equal(w.all(), want) {
		t.Errorf("written: got %v, want %v", w.all(), want)
	}
}
