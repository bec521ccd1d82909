package replay

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Each calls fn for every message of a range, in order, and returns when the last one was delivered or fn fails.
// Nothing is fetched twice and broken connections are survived.
func (r *Reader) Each(ctx context.Context, part Range, fn func(Message) error) error {
	if part.To == 0 {
		last, err := r.Last(ctx, part.Stream)
		if err != nil {
			return err
		}
		part.To = last
	}
	if part.To == 0 || part.From > part.To {
		return nil
	}
	return r.read(ctx, part, nil, fn)
}

// Follow is Each without an end: it goes on with what comes until ctx ends or fn fails. caughtUp, if not nil, runs once
// when what existed at the start was delivered.
func (r *Reader) Follow(ctx context.Context, part Range, caughtUp func(), fn func(Message) error) error {
	part.To = 0
	return r.read(ctx, part, caughtUp, fn)
}

func (r *Reader) read(ctx context.Context, part Range, caughtUp func(), fn func(Message) error) error {
	consumer, err := r.js.OrderedConsumer(ctx, part.Stream, ordered(part))
	if err != nil {
		return fmt.Errorf("read %s: %w", part.Stream, err)
	}
	if consumer.CachedInfo().NumPending == 0 {
		if part.To > 0 {
			return nil
		}
		runOnce(&caughtUp)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(prefetch))
	if err != nil {
		return fmt.Errorf("read %s: %w", part.Stream, err)
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		msg, err := messages.Next()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return fmt.Errorf("read %s: %w", part.Stream, ErrInterrupted)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", part.Stream, err)
		}
		done, err := deliver(part, msg, &caughtUp, fn)
		if done || err != nil {
			return err
		}
	}
}

// deliver hands one message on and says whether it was the last of the range: the one at its end, or the last that the
// filter lets through.
func deliver(part Range, msg jetstream.Msg, caughtUp *func(), fn func(Message) error) (done bool, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return false, fmt.Errorf("read %s: %w", part.Stream, err)
	}
	sequence := meta.Sequence.Stream
	if part.To > 0 && sequence > part.To {
		return true, nil
	}
	err = fn(Message{Stream: part.Stream, Subject: msg.Subject(), Sequence: sequence, Stored: meta.Timestamp, Header: msg.Headers(), Data: msg.Data()})
	if meta.NumPending == 0 && err == nil {
		runOnce(caughtUp)
	}
	return part.To > 0 && (sequence == part.To || meta.NumPending == 0), err
}

func runOnce(fn *func()) {
	if *fn != nil {
		(*fn)()
		*fn = nil
	}
}

func ordered(part Range) jetstream.OrderedConsumerConfig {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: part.Subjects, DeliverPolicy: jetstream.DeliverAllPolicy}
	switch {
	case !part.Since.IsZero():
		since := part.Since
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	case part.From > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, part.From
	}
	return config
}
