package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/events/worker"
)

// Projections stands for the lanes of all projections where lanes are named, and so does Views, as they were once called.
const (
	Projections = "projections"
	Views       = "views"
)

// UntilResumed is the end of a pause that has none.
var UntilResumed time.Time

// Pause stops lanes, in every process, until a time or until they are resumed. It is an event in the log, so it outlasts
// restarts; what happens meanwhile waits in the log. What a lane has begun it still finishes. Names are those of lanes, or
// [Projections]; it returns the lanes as they stand then, or [ErrUnknownLane], having paused none.
func (r *Reader) Pause(ctx context.Context, names []string, until time.Time) ([]Lane, error) {
	return r.change(ctx, names, func(lane string) error { return worker.PauseLane(ctx, r.log, lane, until) })
}

// Resume undoes Pause; a lane that was not paused goes on as it did.
func (r *Reader) Resume(ctx context.Context, names []string) ([]Lane, error) {
	return r.change(ctx, names, func(lane string) error { return worker.ResumeLane(ctx, r.log, lane) })
}

// change does something to the lanes that names stand for.
func (r *Reader) change(ctx context.Context, names []string, do func(lane string) error) ([]Lane, error) {
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

// NamedLanes returns the lanes that names stand for, or [ErrUnknownLane] with the names that there are.
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
			return nil, fmt.Errorf("%w %q: there are %s, and %s for all of them that are projections", ErrUnknownLane, name, strings.Join(known, ", "), Projections)
		}
	}
	return slices.DeleteFunc(lanes, func(l Lane) bool {
		return !slices.Contains(names, l.Name) && (l.Kind != worker.KindProject || !projections)
	}), nil
}
