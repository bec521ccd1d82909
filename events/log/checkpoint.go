package log

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Checkpoint is how far a lane of a worker has come. It is a message that is written with compare-and-set: a process that
// was suspended and lost its lease meanwhile cannot take its successor's checkpoint back.
type Checkpoint struct {
	Lane        string          `json:"lane"`
	Position    uint64          `json:"position"`        // everything up to this sequence is handled, but for what State says
	Read        uint64          `json:"read"`            // how far the lane has read, which can be further
	State       json.RawMessage `json:"state,omitempty"` // what the lane has to remember besides
	CircuitOpen string          `json:"hold,omitempty"`  // why the lane is on hold
	Written     time.Time       `json:"written"`

	revision uint64
	tried    time.Time // Written of a try that went unanswered
}

// ErrCheckpointConflict is returned when another process has written a lane's checkpoint meanwhile: the lane is not this process's.
var ErrCheckpointConflict = errors.New("another process runs this lane")

// LoadCheckpoint returns a lane's checkpoint, at position 0 when it has none.
func (l *core) LoadCheckpoint(ctx context.Context, lane string) (Checkpoint, error) {
	c := Checkpoint{Lane: lane}
	var entry jetstream.KeyValueEntry
	err := l.retry(ctx, func(ctx context.Context) (err error) {
		entry, err = l.checkpoint.Get(ctx, lane)
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read checkpoint of %s: %w", lane, unavailable(ctx, err))
	}
	if err := json.Unmarshal(entry.Value(), &c); err != nil {
		return c, fmt.Errorf("read checkpoint of %s: %w", lane, err)
	}
	c.revision = entry.Revision()
	return c, nil
}

// SaveCheckpoint writes a checkpoint that was loaded, or saved, by this process last. It returns [ErrCheckpointConflict] when it was
// not, or [ErrUnavailable].
func (l *core) SaveCheckpoint(ctx context.Context, c *Checkpoint) error {
	c.Written = l.Now().UTC()
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write checkpoint of %s: %w", c.Lane, err)
	}
	var revision uint64
	if c.revision == 0 {
		revision, err = l.checkpoint.Create(ctx, c.Lane, data)
	} else {
		revision, err = l.checkpoint.Update(ctx, c.Lane, data, c.revision)
	}
	switch {
	case errors.Is(err, jetstream.ErrKeyExists), errors.Is(classify(err), errConflict):
		if l.wroteUnanswered(ctx, c) {
			return l.SaveCheckpoint(ctx, c)
		}
		return fmt.Errorf("write checkpoint of %s: %w", c.Lane, ErrCheckpointConflict)
	case err != nil:
		c.tried = c.Written
		return fmt.Errorf("write checkpoint of %s: %w", c.Lane, unavailable(ctx, err))
	}
	c.revision, c.tried = revision, time.Time{}
	return nil
}

// wroteUnanswered reports whether what a checkpoint is in conflict with is an earlier try of this process, whose answer was
// lost, and takes that over.
func (l *core) wroteUnanswered(ctx context.Context, c *Checkpoint) bool {
	if c.tried.IsZero() {
		return false
	}
	last, err := l.LoadCheckpoint(ctx, c.Lane)
	if err != nil || !last.Written.Equal(c.tried) {
		return false
	}
	c.revision, c.tried = last.revision, time.Time{}
	return true
}

// Checkpoints returns the checkpoints of all lanes.
func (l *core) Checkpoints(ctx context.Context) ([]Checkpoint, error) {
	keys, err := l.checkpoint.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", unavailable(ctx, err))
	}
	checkpoints := make([]Checkpoint, 0, len(keys))
	for _, lane := range keys {
		c, err := l.LoadCheckpoint(ctx, lane)
		if err != nil {
			return nil, err
		}
		checkpoints = append(checkpoints, c)
	}
	return checkpoints, nil
}
