package log

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Checkpoint is the stored position of a lane. It is written with compare-and-set, so a process that was suspended and has
// lost its lease cannot overwrite its successor's checkpoint.
type Checkpoint struct {
	Lane        string          `json:"lane"`
	Position    uint64          `json:"position"`        // every event up to this sequence is handled, except those listed in State
	Read        uint64          `json:"read"`            // the last sequence that the lane has read, at or after Position
	State       json.RawMessage `json:"state,omitempty"` // further state of the lane
	CircuitOpen string          `json:"hold,omitempty"`  // why the lane's circuit is open; empty when it is closed
	Written     time.Time       `json:"written"`

	revision uint64
	tried    time.Time // Written of an unanswered try
}

// LoadCheckpoint returns a lane's checkpoint, at position 0 when the lane has none.
func (l *core) LoadCheckpoint(ctx context.Context, lane string) (Checkpoint, error) {
	c := Checkpoint{Lane: lane}
	var entry jetstream.KeyValueEntry
	err := l.Retry(ctx, func(ctx context.Context) (err error) {
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

// SaveCheckpoint writes a checkpoint that this process has loaded or saved. It returns [ErrCheckpointConflict] when another
// process has written it since, or [ErrUnavailable].
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
		if l.wroteBefore(ctx, c) {
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

// wroteBefore reports whether a checkpoint conflicts with an unanswered try of this process, and adopts that try's revision.
func (l *core) wroteBefore(ctx context.Context, c *Checkpoint) bool {
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
