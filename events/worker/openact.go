package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// act is one event that is being acted on.
type act struct {
	Sequence uint64    `json:"sequence"`
	Attempt  int       `json:"attempt"` // the last one begun, from 1
	Due      time.Time `json:"due"`     // of the next attempt; zero: an attempt is running
	// Redelivery is the sequence of the request by which the event is redelivered; 0: it is not.
	Redelivery uint64 `json:"redelivery,omitempty"`
	Replay     uint64 `json:"replay,omitempty"` // sequence of the request of the replay that opened the act; 0: none did

	item     *Item
	running  bool
	probe    bool // tried while the circuit is open
	deferred bool // waits although the destination works, see [Defer]
}

// restore loads the checkpoint and its open acts. It reports false when ctx ended first, or when only a newer release
// can read them.
func (a *actLane) restore(ctx context.Context) bool {
	return retry(ctx, everySecond(), func() error {
		err := a.tryRestore(ctx)
		a.report(err)
		if a.newer() != nil {
			a.warnBegin(err)
			return backoff.Permanent(err)
		}
		return err
	}, a.warnBegin)
}

func (a *actLane) tryRestore(ctx context.Context) error {
	end, err := a.log.End(ctx, 0)
	if err != nil {
		return err
	}
	checkpoint, err := a.begin(ctx)
	if err != nil {
		return err
	}
	a.inherited = end
	a.open, a.running, a.failures, a.probes, a.redelivering = map[uint64]*act{}, 0, 0, 0, nil
	a.taken, a.cursor = checkpoint.Position, cursor{reader: a.reader, next: checkpoint.Position + 1}
	if len(checkpoint.State) == 0 {
		return nil
	}
	var open []*act
	if err := json.Unmarshal(checkpoint.State, &open); err != nil {
		return fmt.Errorf("read open acts of %s: %w", a.name, err)
	}
	for _, o := range open {
		if o.item, err = a.reader.get(ctx, o.Sequence); err != nil {
			return err
		}
		if err := a.log.ReportNewer(o.item.Message); err != nil {
			return err
		}
		o.Attempt = max(o.Attempt, 1)
		a.open[o.Sequence] = o
	}
	a.setOpen(len(a.open))
	return nil
}

// state returns the part of the checkpoint besides the position: the open acts.
func (a *actLane) state() any {
	open := make([]*act, 0, len(a.open))
	for _, o := range a.open {
		open = append(open, o)
	}
	slices.SortFunc(open, func(x, y *act) int { return cmp.Compare(x.Sequence, y.Sequence) })
	return open
}

// earliest returns the waiting act that is due first. While the circuit is open it passes over deferred acts that are not due:
// they do not wait for the destination, so a probe must not bring them forward.
func (a *actLane) earliest() (first *act) {
	now := a.log.Now()
	for _, o := range a.open {
		if o.running || a.probes > 0 && o.deferred && now.Before(o.Due) {
			continue
		}
		if first == nil || o.Due.Before(first.Due) || o.Due.Equal(first.Due) && o.Sequence < first.Sequence {
			first = o
		}
	}
	return first
}

func (a *actLane) addOpen(o *act) {
	a.open[o.Sequence] = o
	a.setOpen(len(a.open))
}
