package log

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Start says from where a tail reads.
type Start int

// Where a tail can start.
const (
	FromNow            Start = iota // only what is appended from now on
	FromLastPerSubject              // the newest event of every subject, then what follows
	FromBeginning                   // everything
)

// Tail calls fn for every event of a stream on the given subjects, in order, until ctx ends or fn fails; what cannot
// be decoded is passed over (the workers park it). caughtUp, if not nil, runs once when what existed at the start
// has been delivered. The reader survives broken connections and goes on where it was. A cluster that has yet to choose
// its leaders is given a minute to begin, then Tail returns [ErrUnavailable].
func (l *Log) Tail(ctx context.Context, stream string, subjects []string, from Start, caughtUp func(), fn func(events.Event) error) error {
	var consumer jetstream.Consumer
	err := l.askFor(ctx, openPatience, func(ctx context.Context) error {
		config, err := l.startingAt(ctx, stream, from)
		if err != nil {
			return err
		}
		config.FilterSubjects = subjects
		consumer, err = l.js.OrderedConsumer(ctx, stream, config)
		return err
	})
	if err != nil {
		return fmt.Errorf("tail %s: %w", stream, unavailable(ctx, err))
	}
	if info := consumer.CachedInfo(); caughtUp != nil && info.NumPending == 0 {
		caughtUp()
		caughtUp = nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("tail %s: %w", stream, unavailable(ctx, err))
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		msg, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("tail %s: %w", stream, unavailable(ctx, err))
		}
		pending, err := l.deliver(stream, msg, fn)
		if err != nil {
			return err
		}
		if caughtUp != nil && pending == 0 {
			caughtUp()
			caughtUp = nil
		}
	}
}

// startingAt says it to the broker. "Now" is a sequence: a reader that loses its connection before anything has come begins
// again as it began, and if that were "with what is new" it would miss what was appended meanwhile.
func (l *Log) startingAt(ctx context.Context, stream string, from Start) (jetstream.OrderedConsumerConfig, error) {
	switch from {
	case FromLastPerSubject:
		return jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}, nil
	case FromBeginning:
		return jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}, nil
	}
	s, err := l.Stream(stream)
	if err != nil {
		return jetstream.OrderedConsumerConfig{}, err
	}
	info, err := s.Info(ctx)
	if err != nil {
		return jetstream.OrderedConsumerConfig{}, err
	}
	return jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: info.State.LastSeq + 1}, nil
}

// deliver hands one message on and says how many wait behind it.
func (l *Log) deliver(stream string, msg jetstream.Msg, fn func(events.Event) error) (pending uint64, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return 0, fmt.Errorf("tail %s: %w", stream, err)
	}
	e, err := events.Decode(msg.Subject(), msg.Headers(), msg.Data())
	if err != nil {
		l.config.Logger.Debug("tail passes over a message", "stream", stream, "sequence", meta.Sequence.Stream, "error", err)
		return meta.NumPending, nil
	}
	e.Stream, e.Sequence = stream, meta.Sequence.Stream
	return meta.NumPending, fn(e)
}
