package log

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// maxListed is the largest number of missing messages that the broker is asked to list: the answer is one message.
const maxListed = 50_000

// KnownGaps returns the gaps that the broker knows of, up to a sequence. It knows of those that were in its files when it last
// read them as a whole; Verify finds the others. It returns [ErrUnavailable].
func (l *Log) KnownGaps(ctx context.Context, upTo uint64) (gaps []GapError, err error) {
	info, err := l.shop.Info(ctx)
	if err == nil && 0 < info.State.NumDeleted && info.State.NumDeleted <= maxListed {
		info, err = l.shop.Info(ctx, jetstream.WithDeletedDetails(true))
	}
	if err != nil {
		return nil, fmt.Errorf("read gaps of the log: %w", unavailable(ctx, err))
	}
	add := func(from, to uint64) {
		if last := len(gaps) - 1; last >= 0 && gaps[last].To+1 == from {
			gaps[last].To = to
		} else if from <= to {
			gaps = append(gaps, GapError{From: from, To: to})
		}
	}
	if info.State.Msgs > 0 {
		add(1, min(info.State.FirstSeq-1, upTo))
	} else {
		add(1, min(info.State.LastSeq, upTo))
	}
	for _, sequence := range info.State.Deleted {
		if sequence >= info.State.FirstSeq && sequence <= upTo {
			add(sequence, sequence)
		}
	}
	return gaps, nil
}

// Verify reads every message from one sequence to another, which the log has reached, and calls gap for each gap. It returns the
// sequence from which to continue after an error: [ErrUnavailable] or the error of ctx or gap.
func (l *Log) Verify(ctx context.Context, from, to uint64, gap func(GapError) error) (next uint64, err error) {
	next = max(from, 1)
	last, err := l.lastStored(ctx, next, to)
	if err != nil {
		return next, err
	}
	missing := func(before uint64) error {
		if next >= before {
			return nil
		}
		if err := gap(GapError{From: next, To: before - 1}); err != nil {
			return err
		}
		next = before
		return nil
	}
	if next <= last {
		err = l.readHeaders(ctx, next, func(m Message) (bool, error) {
			if m.Sequence < next {
				return true, nil // delivered again after the connection broke
			}
			if err := missing(m.Sequence); err != nil {
				return false, err
			}
			next = m.Sequence + 1
			return next <= last, nil
		})
	}
	if err == nil {
		err = missing(to + 1)
	}
	return next, err
}

// lastStored returns the last sequence in a range at which the log has a message, 0 for none. A reader would wait for ever for a
// message that the broker counts but cannot read.
func (l *Log) lastStored(ctx context.Context, from, to uint64) (uint64, error) {
	for sequence := to; sequence >= from; sequence-- {
		err := l.Retry(ctx, func(ctx context.Context) error {
			_, err := l.reads.GetMsg(ctx, sequence)
			return err
		})
		if err == nil {
			return sequence, nil
		}
		if !isNotFound(err) {
			return 0, fmt.Errorf("read sequence %d: %w", sequence, unavailable(ctx, err))
		}
	}
	return 0, nil
}

// readHeaders calls fn with every message from a sequence on, without its body, until fn returns false or an error.
func (l *Log) readHeaders(ctx context.Context, from uint64, fn func(Message) (more bool, err error)) error {
	consumer, err := l.openConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, HeadersOnly: true})
	if err != nil {
		return err
	}
	ctx, watchdog := NewWatchdog(ctx, StallTimeout)
	defer watchdog.Stop()
	return l.consume(ctx, consumer, func(m Message, _ uint64) (more bool, err error) {
		err = watchdog.Handle(func() error { more, err = fn(m); return err })
		return more, err
	})
}

// CheckMark compares the end of the log with the positions of the lanes, which are stored outside of the log. It returns
// [ErrTruncated] when a lane has read more than the log has: the log has lost its end, and an append would use sequences twice.
func (l *Log) CheckMark(ctx context.Context) error {
	checkpoints, err := l.Checkpoints(ctx)
	if err != nil {
		return err
	}
	var mark Checkpoint
	for _, c := range checkpoints {
		if c.Read = max(c.Read, c.Position); c.Read > mark.Read {
			mark = c
		}
	}
	end, err := l.end(ctx, mark.Read)
	if err != nil {
		return err
	}
	if end < mark.Read {
		return fmt.Errorf("%w: it ends at %d, but %s has read %d", ErrTruncated, end, mark.Lane, mark.Read)
	}
	return nil
}
