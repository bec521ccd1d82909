package worker

import (
	"context"

	"tillstream/events"
)

// opening is the acts of a batch that the loop of the lane is to open.
type opening struct {
	batch  *batchAgain
	result chan error // holds one
}

// actAgain finds out whether the act of an event was made, and lists it with those to open if it was not.
func (a *actLane) actAgain(ctx context.Context, b *batchAgain, item *Item) error {
	e, route, err := a.routes.route(item)
	if err != nil {
		return err
	}
	done, err := route.lookUp(ctx, e)
	switch {
	case err != nil:
		return err
	case done.IsDone():
		b.counts.Done++
	default:
		b.acts = append(b.acts, item)
	}
	return nil
}

// lookUp returns whether the act of an event was made.
func (r ActRoute) lookUp(ctx context.Context, e events.Event) (done Done, err error) {
	if r.done == nil {
		return Done{}, nil
	}
	err = safely(func() error {
		done, err = r.done(ctx, e)
		return err
	})
	return done, err
}

// openAll has the loop open the acts of a batch, and waits until its checkpoint holds them.
func (a *actLane) openAll(ctx context.Context, b *batchAgain) error {
	if b.counts.Opened = len(b.acts); len(b.acts) == 0 {
		return nil
	}
	o := &opening{batch: b, result: make(chan error, 1)}
	select {
	case a.opening <- o:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-o.result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openings returns the acts that replays are to open, nil while the lane has as many as it may have.
func (a *actLane) openings() <-chan *opening {
	if len(a.open) >= maxOpenActs || a.log.Damage() != nil {
		return nil
	}
	return a.opening
}

// openReplayed opens the acts of a batch and writes the checkpoint: after the outcome of the batch, only the checkpoint says that
// they are to be made. Their attempts begin with the second, because the first may have had an effect.
func (a *actLane) openReplayed(ctx context.Context, b *batchAgain) error {
	for _, item := range b.acts {
		if open := a.open[item.Sequence]; open == nil {
			a.addOpen(&act{Sequence: item.Sequence, Attempt: 1, Replay: b.request.Sequence, item: item})
		}
	}
	a.change()
	saving, cancel := context.WithTimeout(ctx, checkpointTimeout)
	defer cancel()
	return a.save(saving, a.state())
}
