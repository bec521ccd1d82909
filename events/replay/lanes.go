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

	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// Lane is how far one lane of the shop's workers has come. What it says of the position is as old as the checkpoint, which
// a lane at work writes about once a second.
type Lane struct {
	Name     string      `json:"name"`
	Kind     worker.Kind `json:"kind"`
	Holder   string      `json:"holder,omitempty"` // the process that runs it; "": none does
	Position uint64      `json:"position"`         // everything up to here is handled, but for the open acts
	Lag      uint64      `json:"lag"`              // events that the lane has not read yet
	Open     []OpenAct   `json:"open,omitempty"`   // acts that have begun and not ended
	Hold     string      `json:"hold,omitempty"`   // why the lane is on hold: its destination takes nothing
	Paused   bool        `json:"paused"`
	Until    *time.Time  `json:"until,omitempty"`   // when the pause ends by itself; nil: it does not
	Written  *time.Time  `json:"written,omitempty"` // when the checkpoint was written last
}

// OpenAct is an event that an act lane is acting on, or will again.
type OpenAct struct {
	Sequence uint64     `json:"sequence"`
	Attempt  int        `json:"attempt"` // the last one begun, from 1
	Due      *time.Time `json:"due,omitempty"`
}

// Lanes returns every lane that has ever run in the shop, by name.
func (r *Reader) Lanes(ctx context.Context) ([]Lane, error) {
	checkpoints, err := r.log.Checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	leases, err := r.log.Leases(ctx)
	if err != nil {
		return nil, err
	}
	end, err := r.Last(ctx) // after the checkpoints: a lane is never ahead of the log
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
		if err := lane(c.Lane).takeOver(c, end); err != nil {
			return nil, err
		}
	}
	for _, l := range leases {
		lane(l.Lane).Holder = l.Holder
	}
	lanes := make([]Lane, 0, len(byName))
	for _, l := range byName {
		if err := r.control(ctx, l); err != nil {
			return nil, err
		}
		lanes = append(lanes, *l)
	}
	slices.SortFunc(lanes, func(a, b Lane) int { return cmp.Compare(a.Name, b.Name) })
	return lanes, nil
}

// kindOf tells by its name what a lane does: a decide lane is named like its domain, the others say more. It returns "" for
// the reconciler, which keeps a checkpoint, but of Stripe's events: it is no lane, and has no place in the log.
func kindOf(name string) worker.Kind {
	_, what, dotted := strings.Cut(name, ".")
	switch {
	case name == archive.Lane:
		return worker.KindArchive
	case !dotted:
		return worker.KindDecide
	case what == "projection":
		return worker.KindProject
	case what == "timers":
		return worker.KindTimer
	case what == "reconcile":
		return ""
	}
	return worker.KindAct
}

// takeOver fills in what a lane's checkpoint says.
func (l *Lane) takeOver(c eventlog.Checkpoint, end uint64) error {
	l.Position, l.Hold = c.Position, c.CircuitOpen
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

// control fills in whether operators have a lane paused.
func (r *Reader) control(ctx context.Context, l *Lane) error {
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

// leasesAgain is how often it is looked whether leases have run out.
const leasesAgain = 200 * time.Millisecond

// checkStopped returns [ErrRunning] while processes of the shop hold leases: what they remember is of the time
// before the log was put back. Those of a process that was killed run out meanwhile.
func (r *Reader) checkStopped(ctx context.Context) error {
	for enough := time.Now().Add(r.log.LeaseTTL()); ; {
		leases, err := r.log.Leases(ctx)
		if err != nil || len(leases) == 0 {
			return err
		}
		if time.Now().After(enough) {
			var lanes []string
			for _, l := range leases {
				lanes = append(lanes, l.Lane)
			}
			slices.Sort(lanes)
			return fmt.Errorf("%w: %s", ErrRunning, strings.Join(lanes, ", "))
		}
		if !worker.Sleep(ctx, leasesAgain) {
			return ctx.Err()
		}
	}
}
