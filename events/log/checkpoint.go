package log

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
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

// How long a lease lasts without renewal. A cluster elects a new leader in 4 to 9 s, during which no lease can be renewed
// (measured with nats-server 2.15.2).
const (
	leaseTTL          = 5 * time.Second
	leaseTTLClustered = 10 * time.Second
)

// Lease is the right to run a lane, for as long as it is renewed. It only avoids that two processes do the same
// work. Correctness does not depend on it: the appends of a process that was suspended, and has not noticed that its lease has
// expired, are refused because of their expected sequences.
type Lease struct {
	Lane   string    `json:"lane"`
	Holder string    `json:"holder"`
	Since  time.Time `json:"since"`

	revision uint64
}

// LeaseTTL returns how long a lease lasts without renewal.
func (l *core) LeaseTTL() time.Duration {
	if l.config.Replicas > 1 {
		return leaseTTLClustered
	}
	return leaseTTL
}

// Acquire takes the lease of a lane if it is free, or if a process with the same holder name has it; this process then replaces
// that one. ok is false when another holder has the lease.
func (l *core) Acquire(ctx context.Context, lane, holder string) (lease Lease, ok bool, err error) {
	lease = Lease{Lane: lane, Holder: holder, Since: l.Now().UTC()}
	last, err := l.readLease(ctx, lane)
	if err != nil {
		return Lease{}, false, err
	}
	if last.Holder != "" && last.Holder != holder {
		return last, false, nil
	}
	lease.revision = last.revision
	switch err := l.Renew(ctx, &lease); {
	case errors.Is(err, ErrCheckpointConflict):
		return Lease{}, false, nil
	case err != nil:
		return Lease{}, false, err
	}
	return lease, true, nil
}

// readLease returns the lease of a lane, without a holder when it is free.
func (l *core) readLease(ctx context.Context, lane string) (lease Lease, err error) {
	stream, err := l.js.Stream(ctx, "KV_"+bucketLeases)
	if err != nil {
		return Lease{}, fmt.Errorf("read lease of %s: %w", lane, unavailable(ctx, err))
	}
	msg, err := stream.GetLastMsgForSubject(ctx, leaseSubject(lane))
	if isNotFound(err) {
		return Lease{Lane: lane}, nil
	}
	if err != nil {
		return Lease{}, fmt.Errorf("read lease of %s: %w", lane, unavailable(ctx, err))
	}
	if len(msg.Data) > 0 { // else the marker of a lease that was released or has expired
		if err := json.Unmarshal(msg.Data, &lease); err != nil {
			return Lease{}, fmt.Errorf("read lease of %s: %w", lane, err)
		}
	}
	lease.Lane, lease.revision = lane, msg.Sequence
	return lease, nil
}

func leaseSubject(lane string) string { return "$KV." + bucketLeases + "." + lane }

// Renew extends a lease by [Log.LeaseTTL]. It returns [ErrCheckpointConflict] when another process has taken the lease.
func (l *core) Renew(ctx context.Context, lease *Lease) error {
	data, err := json.Marshal(lease)
	if err != nil {
		return fmt.Errorf("renew lease of %s: %w", lease.Lane, err)
	}
	msg := &nats.Msg{Subject: leaseSubject(lease.Lane), Data: data}
	ack, err := l.js.PublishMsg(ctx, msg, jetstream.WithMsgTTL(l.LeaseTTL()), jetstream.WithExpectLastSequencePerSubject(lease.revision),
		jetstream.WithRetryAttempts(0))
	switch {
	case errors.Is(classify(err), errConflict):
		return l.renewed(ctx, lease)
	case err != nil:
		return fmt.Errorf("renew lease of %s: %w", lease.Lane, unavailable(ctx, err))
	}
	lease.revision = ack.Sequence
	return nil
}

// renewed returns nil when a renewal conflicts with an earlier one of the same holder whose answer was lost.
func (l *core) renewed(ctx context.Context, lease *Lease) error {
	last, err := l.readLease(ctx, lease.Lane)
	if err != nil {
		return err
	}
	if last.Holder != lease.Holder || !last.Since.Equal(lease.Since) {
		return fmt.Errorf("renew lease of %s: %w", lease.Lane, ErrCheckpointConflict)
	}
	lease.revision = last.revision
	return nil
}

// Release gives up a lease, so that another process can take the lane at once.
func (l *core) Release(ctx context.Context, lease Lease) error {
	err := l.lease.Delete(ctx, lease.Lane, jetstream.LastRevision(lease.revision))
	if err != nil && !errors.Is(classify(err), errConflict) {
		return fmt.Errorf("release lease of %s: %w", lease.Lane, unavailable(ctx, err))
	}
	return nil
}

// WatchLeases calls fn with every current lease and then with every change of a lease, until ctx ends. A lease without a
// holder is free.
func (l *core) WatchLeases(ctx context.Context, fn func(Lease)) error {
	watcher, err := l.lease.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch leases: %w", unavailable(ctx, err))
	}
	defer func() { _ = watcher.Stop() }() // the subscription ends with its connection at the latest
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, open := <-watcher.Updates():
			if !open && ctx.Err() != nil { // the end of ctx also closes the channel
				return nil
			}
			if !open {
				return fmt.Errorf("watch leases: %w", ErrUnavailable)
			}
			if entry == nil { // marks the end of the current leases
				continue
			}
			lease := Lease{Lane: entry.Key()}
			if entry.Operation() == jetstream.KeyValuePut {
				if err := json.Unmarshal(entry.Value(), &lease); err != nil {
					l.config.Logger.Warn("unreadable lease", "lane", entry.Key(), "error", err)
				}
			}
			fn(lease)
		}
	}
}

// Leases returns the held leases.
func (l *core) Leases(ctx context.Context) ([]Lease, error) {
	keys, err := l.lease.Keys(ctx)
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", unavailable(ctx, err))
	}
	var held []Lease
	for _, lane := range keys {
		lease, err := l.readLease(ctx, lane)
		if err != nil {
			return nil, err
		}
		if lease.Holder != "" {
			held = append(held, lease)
		}
	}
	return held, nil
}
