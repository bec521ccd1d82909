package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"tillstream/events"
)

// How a history is read. Orders and payments have about ten events in their life, and a reader is mostly behind by one
// or two: those are fetched one by one. A batch costs a subscription of its own, which pays from some more on.
const (
	readSingly = 8
	readBatch  = 256
)

// Queues is an option for the connection that a log is opened on: places for the answers to one question. The client's
// default of 65,536 costs half a megabyte for each history that is read.
func Queues() nats.Option { return nats.SyncQueueLen(2 * readBatch) }

// newest returns the newest state of an entity, seq 0 when there is none. It asks for the subject's last message first:
// when that is already in the cached state nothing else is read, and the newer of the two wins.
func (l *Log) newest(ctx context.Context, f fold, subject string) (entry, error) {
	known, _ := l.cache.Get(subject)
	last, err := l.lastMessage(ctx, f.stream, subject)
	if err != nil {
		return entry{}, err
	}
	if last == nil || last.Sequence <= known.seq {
		return known, nil
	}
	if f.lastOnly && ofOurs(last) {
		known, err = f.step(entry{}, last)
	} else {
		known, err = l.foldFrom(ctx, f, subject, known, last)
	}
	if err != nil {
		return entry{}, err
	}
	l.remember(subject, known)
	return known, nil
}

func (l *Log) lastMessage(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	var msg *jetstream.RawStreamMsg
	err := l.ask(ctx, func(ctx context.Context) (err error) {
		msg, err = l.reads[stream].GetLastMsgForSubject(ctx, subject)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return msg, nil
}

// foldFrom goes on from a known state up to the last message.
func (l *Log) foldFrom(ctx context.Context, f fold, subject string, known entry, last *jetstream.RawStreamMsg) (entry, error) {
	singly := readSingly
	if known.seq == 0 {
		singly = 1 // of one that is not known at all there is mostly more: draining a backlog, this doubles the pace
	}
	for range singly {
		if known.seq >= last.Sequence {
			return known, nil
		}
		var msg *jetstream.RawStreamMsg
		err := l.ask(ctx, func(ctx context.Context) (err error) {
			msg, err = l.reads[f.stream].GetMsg(ctx, known.seq+1, jetstream.WithGetMsgSubject(subject))
			return err
		})
		if err != nil {
			return entry{}, unavailable(ctx, err)
		}
		if known, err = f.step(known, msg); err != nil {
			return entry{}, err
		}
	}
	for known.seq < last.Sequence {
		before := known.seq
		err := l.history(ctx, f.stream, subject, known.seq+1, func(msg *jetstream.RawStreamMsg) error {
			var err error
			known, err = f.step(known, msg)
			return err
		})
		if err != nil {
			return entry{}, err
		}
		if known.seq == before {
			return entry{}, fmt.Errorf("%w: %s ends at %d, its last message is %d", ErrUnavailable, subject, known.seq, last.Sequence)
		}
	}
	return known, nil
}

// history calls fn for up to readBatch messages of a subject, from a sequence on.
func (l *Log) history(ctx context.Context, stream, subject string, from uint64, fn func(*jetstream.RawStreamMsg) error) error {
	messages, err := jetstreamext.GetBatch(ctx, l.js, stream, readBatch, jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchSeq(from))
	if err != nil {
		return unavailable(ctx, err)
	}
	for msg, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil
		}
		if err != nil {
			return unavailable(ctx, err)
		}
		if err := fn(msg); err != nil {
			return err
		}
	}
	return nil
}

// ofOurs reports whether a message says something about its entity. What somebody published straight into the stream does
// not, and must not hide what stands before it.
func ofOurs(m *jetstream.RawStreamMsg) bool {
	e, err := events.DecodeEnvelope(m.Subject, m.Header)
	return err == nil && events.Known(e.Type)
}

// step folds one stored message. What is no event of ours (somebody published straight into the stream) says nothing
// about the entity and is passed over; what is one but cannot be read is an error, because guessing is not folding.
func (f fold) step(known entry, msg *jetstream.RawStreamMsg) (entry, error) {
	e, err := events.Decode(msg.Subject, msg.Header, msg.Data)
	if errors.Is(err, events.ErrNotAnEvent) || errors.Is(err, events.ErrUnknownType) {
		return entry{state: known.state, seq: msg.Sequence}, nil
	}
	if err == nil {
		e.Stream, e.Sequence = f.stream, msg.Sequence
		known.state, err = f.evolve(known.state, e)
	}
	if err != nil {
		return entry{}, fmt.Errorf("%w: %s at %d: %w", ErrUnreadable, msg.Subject, msg.Sequence, err)
	}
	return entry{state: known.state, seq: msg.Sequence}, nil
}

// ask puts a question to the broker again when nobody answers it, until patience ends: a copy that died took it along, or
// the cluster has yet to choose who answers.
func (l *Log) ask(ctx context.Context, question func(context.Context) error) error {
	return l.askFor(ctx, l.config.Patience, question)
}

func (l *Log) askFor(ctx context.Context, patience time.Duration, question func(context.Context) error) error {
	began := time.Now()
	deadline := began.Add(patience)
	for wait := tryAgain; ; wait = min(2*wait, longestGap) {
		asking, cancel := context.WithDeadline(ctx, earlier(deadline, time.Now().Add(oneTry)))
		err := question(asking)
		cancel()
		if err == nil || !IsPassing(err) || ctx.Err() != nil || time.Now().Add(wait).After(deadline) {
			return err
		}
		if time.Since(began) > moveAfter {
			l.LookElsewhere()
		}
		if pause(ctx, wait) != nil {
			return err
		}
	}
}

// Step folds one stored message into the state before it, as reading the entity does. It returns [ErrUnreadable].
func (k Kind[S]) Step(state S, m *jetstream.RawStreamMsg) (S, error) {
	next, err := k.fold().step(entry{state: state}, m)
	after, _ := next.state.(S)
	return after, err
}

// unavailable marks an error of the broker or the way to it, but leaves the caller's own cancellation as it is.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
