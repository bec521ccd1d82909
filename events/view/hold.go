package view

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// How long a view is held while it is compared. The pause is short and renewed, so that a rebuild that is killed leaves a
// view that goes on by itself.
const (
	holdFor   = time.Minute
	holdRenew = 15 * time.Second
	holdQuiet = 10 * time.Second // without an acknowledgement: who had messages in hand is gone
	holdLook  = 50 * time.Millisecond
)

// hold is a view at rest: paused, with everything that was handed out written.
type hold struct {
	js     jetstream.JetStream
	view   View
	before time.Time // until when operators had it paused already
	ours   time.Time // the end of the pause as we set it last
	done   uint64    // everything up to here is written
	stop   context.CancelFunc
	ended  chan struct{}
	lost   error // why the pause could not be renewed
}

func consumerInfo(ctx context.Context, js jetstream.JetStream, v View) (*jetstream.ConsumerInfo, error) {
	consumer, err := js.Consumer(ctx, v.Stream, v.Name)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", v.Name, err)
	}
	return consumer.CachedInfo(), nil
}

func pausedUntil(info *jetstream.ConsumerInfo) time.Time {
	if info.Paused && info.Config.PauseUntil != nil {
		return *info.Config.PauseUntil
	}
	return time.Time{}
}

// takeHold pauses a view and waits until it rests. The caller releases it.
func takeHold(ctx context.Context, js jetstream.JetStream, v View) (*hold, error) {
	h := &hold{js: js, view: v, ended: make(chan struct{})}
	if err := h.extend(ctx); err != nil {
		return nil, err
	}
	renewing, stop := context.WithCancel(ctx)
	h.stop = stop
	go h.renew(renewing)
	if err := h.settle(ctx); err != nil {
		return nil, errors.Join(err, h.release(context.WithoutCancel(ctx)))
	}
	return h, nil
}

// extend moves the end of the pause on, unless operators want it later still. What they have said meanwhile counts: their
// pause stays when ours ends, and a view that they let go on does not rest any more.
func (h *hold) extend(ctx context.Context) error {
	info, err := consumerInfo(ctx, h.js, h.view)
	if err != nil {
		return err
	}
	switch now := pausedUntil(info); {
	case now.IsZero() && !h.ours.IsZero():
		return fmt.Errorf("%w: %s", ErrMoved, h.view.Name)
	case !now.Equal(h.ours):
		h.before = now
	}
	until := time.Now().Add(holdFor).UTC()
	if until.Before(h.before) {
		until = h.before
	}
	if _, err := h.js.PauseConsumer(ctx, h.view.Stream, h.view.Name, until); err != nil {
		return fmt.Errorf("pause %s: %w", h.view.Name, err)
	}
	h.ours = until
	return nil
}

func (h *hold) renew(ctx context.Context) {
	defer close(h.ended)
	ticker := time.NewTicker(holdRenew)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := h.extend(ctx); err != nil && ctx.Err() == nil {
				h.lost = err
				return
			}
		}
	}
}

// settle waits until nothing is in hand any more. What nobody acknowledges for a while is in nobody's hand: a writer that
// comes back from the dead shows in [hold.release].
func (h *hold) settle(ctx context.Context) error {
	ticker := time.NewTicker(holdLook)
	defer ticker.Stop()
	var last jetstream.ConsumerInfo
	for quiet := time.Now(); ; {
		info, err := consumerInfo(ctx, h.js, h.view)
		if err != nil {
			return err
		}
		if info.NumAckPending != last.NumAckPending || info.AckFloor.Stream != last.AckFloor.Stream {
			last, quiet = *info, time.Now()
		}
		if info.Paused && (info.NumAckPending == 0 || time.Since(quiet) > holdQuiet) {
			h.done = info.AckFloor.Stream
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// release ends the pause, or leaves the one that operators want. It returns [ErrMoved] when the view did not rest all
// the while.
func (h *hold) release(ctx context.Context) error {
	h.stop()
	<-h.ended
	info, err := consumerInfo(ctx, h.js, h.view)
	if err != nil {
		return err
	}
	moved := h.lost
	if now := pausedUntil(info); now.IsZero() || h.done != 0 && info.AckFloor.Stream != h.done {
		moved = errors.Join(moved, fmt.Errorf("%w: %s", ErrMoved, h.view.Name))
	} else if !now.Equal(h.ours) {
		return moved // operators have paused it meanwhile
	}
	if h.before.After(time.Now()) {
		_, err = h.js.PauseConsumer(ctx, h.view.Stream, h.view.Name, h.before)
	} else {
		_, err = h.js.ResumeConsumer(ctx, h.view.Stream, h.view.Name)
	}
	if err != nil {
		err = fmt.Errorf("resume %s (it goes on by itself within %s): %w", h.view.Name, holdFor, err)
	}
	return errors.Join(moved, err)
}
