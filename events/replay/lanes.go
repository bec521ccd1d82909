package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// Lane is the state of one lane. Its position is that of the checkpoint, which an active lane writes about once a second.
type Lane struct {
	Name        string      `json:"name"`
	Kind        worker.Kind `json:"kind"`
	Holder      string      `json:"holder,omitempty"` // the process that runs it; "" when none does
	Position    uint64      `json:"position"`         // every event up to here is handled, except the open acts
	Lag         uint64      `json:"lag"`              // number of events that the lane has not read
	Open        []OpenAct   `json:"open,omitempty"`   // acts that have begun but not ended
	CircuitOpen string      `json:"hold,omitempty"`   // the reason why its circuit is open; "" when it is closed
	Paused      bool        `json:"paused"`
	Until       *time.Time  `json:"until,omitempty"`   // when the pause ends by itself; nil when it does not
	Written     *time.Time  `json:"written,omitempty"` // when the checkpoint was last written
}

// OpenAct is an event whose act is running or will be retried.
type OpenAct struct {
	Sequence uint64     `json:"sequence"`
	Attempt  int        `json:"attempt"` // the last attempt, from 1
	Due      *time.Time `json:"due,omitempty"`
}

// Lanes returns every lane that has ever run in the shop, sorted by name.
func (r *Reader) Lanes(ctx context.Context) ([]Lane, error) {
	checkpoints, err := r.log.Checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	leases, err := r.log.Leases(ctx)
	if err != nil {
		return nil, err
	}
	end, err := r.Last(ctx) // after the checkpoints, so that no lane appears ahead of the log
	if err != nil {
		return nil, err
	}
	byName := map[string]*Lane{}
	lane := func(name string) *Lane {
		if byName[name] == nil {
			byName[name] = &Lane{Name: name, Kind: kindOf(name), Lag: end}
		}
		return byName[name]
	}
	for _, c := range checkpoints {
		if kindOf(c.Lane) == "" {
			continue
		}
		if err := lane(c.Lane).setCheckpoint(c, end); err != nil {
			return nil, err
		}
	}
	for _, l := range leases {
		if kindOf(l.Lane) != "" {
			lane(l.Lane).Holder = l.Holder
		}
	}
	lanes := make([]Lane, 0, len(byName))
	for _, l := range byName {
		if err := r.setPaused(ctx, l); err != nil {
			return nil, err
		}
		lanes = append(lanes, *l)
	}
	slices.SortFunc(lanes, func(a, b Lane) int { return cmp.Compare(a.Name, b.Name) })
	return lanes, nil
}

// kindOf derives the kind of a lane from its name: a decide lane has the name of its domain, the others a suffix. It returns "" for
// what has a checkpoint or a lease but no position in the log: the audit, and the reconciler of payments, whose checkpoints end in reconcile.
func kindOf(name string) worker.Kind {
	_, suffix, dotted := strings.Cut(name, ".")
	switch {
	case name == archive.Lane:
		return worker.KindArchive
	case name == AuditLane:
		return ""
	case !dotted:
		return worker.KindDecide
	case suffix == "projection":
		return worker.KindProject
	case suffix == "timers":
		return worker.KindTimer
	case strings.HasSuffix(suffix, "reconcile"):
		return ""
	}
	return worker.KindAct
}

// setCheckpoint sets the fields that a checkpoint determines. end is the last sequence of the log.
func (l *Lane) setCheckpoint(c eventlog.Checkpoint, end uint64) error {
	l.Position, l.CircuitOpen = c.Position, c.CircuitOpen
	if !c.Written.IsZero() {
		l.Written = &c.Written
	}
	l.Lag = end - min(end, max(c.Position, c.Read))
	if l.Kind != worker.KindAct || len(c.State) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.State, &l.Open); err != nil {
		return fmt.Errorf("read the open acts of %s: %w", l.Name, err)
	}
	for i, o := range l.Open {
		if o.Due != nil && o.Due.IsZero() {
			l.Open[i].Due = nil
		}
	}
	return nil
}

// setPaused sets whether an operator has paused the lane.
func (r *Reader) setPaused(ctx context.Context, l *Lane) error {
	c, _, err := worker.Controls.Read(ctx, r.log, l.Name)
	if errors.Is(err, eventlog.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if l.Paused = c.Paused && (c.Until == nil || r.log.Now().Before(*c.Until)); l.Paused {
		l.Until = c.Until
	}
	return nil
}

// Projections, in a list of lane names, stands for the lanes of all projections. Views is its old name, which is still accepted.
const (
	Projections = "projections"
	Views       = "views"
)

// UntilResumed is the end of a pause that lasts until it is resumed.
var UntilResumed time.Time

// Pause stops lanes in every process, until a time or until they are resumed. The pause is an event in the log and survives restarts.
// A lane finishes what it has begun; later events wait in the log. names are names of lanes, or [Projections]. Pause returns the
// paused lanes, or [ErrUnknownLane] when one of the names is unknown; then it pauses none.
func (r *Reader) Pause(ctx context.Context, names []string, until time.Time, author events.Author) ([]Lane, error) {
	return r.eachNamed(ctx, names, func(lane string) error { return worker.PauseLane(ctx, r.log, lane, until, author) })
}

// Resume ends the pause of lanes. It has no effect on a lane that is not paused.
func (r *Reader) Resume(ctx context.Context, names []string, author events.Author) ([]Lane, error) {
	return r.eachNamed(ctx, names, func(lane string) error { return worker.ResumeLane(ctx, r.log, lane, author) })
}

// eachNamed calls do with each of the named lanes, and returns their state afterwards.
func (r *Reader) eachNamed(ctx context.Context, names []string, do func(lane string) error) ([]Lane, error) {
	lanes, err := r.NamedLanes(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, l := range lanes {
		if err := do(l.Name); err != nil {
			return nil, err
		}
	}
	return r.NamedLanes(ctx, names)
}

// NamedLanes returns the named lanes, or [ErrUnknownLane] with the existing names.
func (r *Reader) NamedLanes(ctx context.Context, names []string) ([]Lane, error) {
	lanes, err := r.Lanes(ctx)
	if err != nil {
		return nil, err
	}
	known := make([]string, len(lanes))
	for i, l := range lanes {
		known[i] = l.Name
	}
	projections := false
	for _, name := range names {
		switch {
		case name == Projections || name == Views:
			projections = true
		case !slices.Contains(known, name):
			return nil, fmt.Errorf("%w %q: there are %s, and %s for every projection", ErrUnknownLane, name, strings.Join(known, ", "), Projections)
		}
	}
	return slices.DeleteFunc(lanes, func(l Lane) bool {
		return !slices.Contains(names, l.Name) && (l.Kind != worker.KindProject || !projections)
	}), nil
}

// leasePollInterval is how often [Reader.checkStopped] reads the leases.
const leasePollInterval = 200 * time.Millisecond

// checkStopped returns [ErrRunning] when processes of the shop still hold leases after one lease duration, in which the leases of a
// killed process expire. A running process has state in memory that predates the log which a repair or a restore writes.
func (r *Reader) checkStopped(ctx context.Context) error {
	for deadline := time.Now().Add(r.log.LeaseTTL()); ; {
		leases, err := r.log.Leases(ctx)
		if err != nil || len(leases) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			var lanes []string
			for _, l := range leases {
				lanes = append(lanes, l.Lane)
			}
			slices.Sort(lanes)
			return fmt.Errorf("%w: %s", ErrRunning, strings.Join(lanes, ", "))
		}
		if !worker.Sleep(ctx, leasePollInterval) {
			return ctx.Err()
		}
	}
}
