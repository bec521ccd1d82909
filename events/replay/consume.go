package replay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	eventlog "tillstream/events/log"
)

// prefetch is the number of messages that the client requests at a time. Compared with the default of 500, it halves the time to
// read four million events. heartbeat is how often the broker shows that it is there while it has no messages.
const (
	prefetch  = 4000
	heartbeat = 2 * time.Second
)

// consume calls fn for the messages of an ordered consumer, up to a sequence, or without an end when it is 0. It does not detect gaps.
// With an end, it returns [eventlog.ErrStalled] when the broker does not deliver a message that it has.
func (r *Reader) consume(ctx context.Context, stream string, config jetstream.OrderedConsumerConfig, to uint64, fn func(Message) error) error {
	consumer, err := r.js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return fmt.Errorf("read %s: %w", stream, err)
	}
	defer r.deleteConsumer(ctx, stream, consumer)
	if to > 0 && consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	last, err := r.readConsumer(ctx, consumer, to, fn)
	if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
		err = ErrInterrupted
	}
	if errors.Is(err, eventlog.ErrStalled) || errors.Is(err, ErrInterrupted) {
		return fmt.Errorf("read %s after sequence %d: %w", stream, max(last, config.OptStartSeq), err)
	}
	return err
}

// readConsumer calls fn for the messages of a consumer, up to a sequence, or without an end when it is 0. It returns the sequence of the
// last one.
func (r *Reader) readConsumer(ctx context.Context, consumer jetstream.Consumer, to uint64, fn func(Message) error) (last uint64, err error) {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(prefetch), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return 0, fmt.Errorf("read messages: %w", err)
	}
	defer messages.Stop()
	timeout := r.timeout
	if to == 0 {
		timeout = math.MaxInt64 // new messages may take years
	}
	ctx, watchdog := eventlog.NewWatchdog(ctx, timeout)
	defer watchdog.Stop()
	return r.receive(ctx, messages, to, func(m Message) error { return watchdog.Handle(func() error { return fn(m) }) })
}

// receive calls fn for the messages of a subscription, and returns the sequence of the last one.
func (r *Reader) receive(ctx context.Context, messages jetstream.MessagesContext, to uint64, fn func(Message) error) (last uint64, err error) {
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		msg, err := messages.Next()
		if ctx.Err() != nil {
			return last, eventlog.ReadError(ctx)
		}
		if err != nil {
			return last, fmt.Errorf("read messages: %w", err)
		}
		var done bool
		if last, done, err = r.deliver(msg, to, fn); done || err != nil {
			return last, err
		}
	}
}

// deleteTimeout is how long a reader waits for the broker to delete its consumer, which would otherwise stay for five minutes.
const deleteTimeout = 5 * time.Second

func (r *Reader) deleteConsumer(ctx context.Context, stream string, consumer jetstream.Consumer) {
	deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	if err := r.js.DeleteConsumer(deleting, stream, consumer.CachedInfo().Name); err != nil {
		r.log.Logger().Debug("consumer not deleted", "stream", stream, "error", err)
	}
}

// all calls fn for every message that a stream contains now, in order. It does not detect gaps.
func (r *Reader) all(ctx context.Context, stream string, fn func(Message) error) error {
	opened, err := r.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("read state of stream %s: %w", stream, err)
	}
	last := opened.CachedInfo().State.LastSeq
	if last == 0 {
		return nil
	}
	return r.consume(ctx, stream, ordered(Range{}), last, fn)
}

// deliver calls fn for one message. It returns its sequence and whether it was the last of the range: the one at its end, or the last
// one that matches the filter.
func (r *Reader) deliver(msg jetstream.Msg, to uint64, fn func(Message) error) (sequence uint64, done bool, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return 0, false, fmt.Errorf("read %s: %w", msg.Subject(), err)
	}
	sequence = meta.Sequence.Stream
	if to > 0 && sequence > to {
		return sequence, true, nil
	}
	err = fn(r.log.Adopt(Message{Subject: msg.Subject(), Sequence: sequence, Stored: meta.Timestamp, Header: msg.Headers(), Data: msg.Data()}))
	return sequence, to > 0 && (sequence == to || meta.NumPending == 0), err
}

// ordered returns the configuration of a consumer for a range.
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
