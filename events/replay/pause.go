package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Views stands for every view where workers are named.
const Views = "views"

// UntilResumed is the end of a pause that has none.
var UntilResumed = time.Date(9999, time.January, 1, 0, 0, 0, 0, time.UTC)

// Pause stops workers, in every replica, until a time or until they are resumed. The broker keeps it: it hands nothing
// out meanwhile and remembers where each one was, across restarts of everybody. What a worker has in hand it still
// finishes. Names are those of consumers, or [Views]; it returns the workers as they stand then, or
// [ErrUnknownWorker], having paused none.
func (r *Reader) Pause(ctx context.Context, names []string, until time.Time) ([]Consumer, error) {
	return r.each(ctx, names, "pause", func(c Consumer) error {
		_, err := r.js.PauseConsumer(ctx, c.Stream, c.Name, until)
		return err
	})
}

// Resume undoes Pause; a worker that was not paused goes on as it did.
func (r *Reader) Resume(ctx context.Context, names []string) ([]Consumer, error) {
	return r.each(ctx, names, "resume", func(c Consumer) error {
		_, err := r.js.ResumeConsumer(ctx, c.Stream, c.Name)
		return err
	})
}

// each does something to the workers that names stand for.
func (r *Reader) each(ctx context.Context, names []string, what string, do func(Consumer) error) ([]Consumer, error) {
	consumers, err := r.Workers(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, c := range consumers {
		if err := do(c); err != nil {
			return nil, fmt.Errorf("%s %s: %w", what, c.Name, err)
		}
	}
	return r.Workers(ctx, names)
}

// Workers returns the consumers that names stand for, or [ErrUnknownWorker] with the names that there are.
func (r *Reader) Workers(ctx context.Context, names []string) ([]Consumer, error) {
	all, err := r.Consumers(ctx)
	if err != nil {
		return nil, err
	}
	var known []string
	for _, c := range all {
		known = append(known, c.Name)
	}
	for _, name := range names {
		if name != Views && !slices.Contains(known, name) {
			return nil, fmt.Errorf("%w %q: there are %s, and %s for all of them that are views", ErrUnknownWorker, name, strings.Join(known, ", "), Views)
		}
	}
	return slices.DeleteFunc(all, func(c Consumer) bool {
		return !slices.Contains(names, c.Name) && (c.Loop != LoopRemember || !slices.Contains(names, Views))
	}), nil
}
