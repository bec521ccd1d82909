package replay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/archive"
)

// writeBack appends messages again that a log once held. Repairs and restores share it.
type writeBack struct {
	reader   *Reader
	exact    bool              // under their old sequences, or not at all
	compared uint64            // where the log ended when the plan was made; only when not exact
	ends     map[string]uint64 // last sequence of each subject; only when not exact
	pending  []pendingAppend
}

// pendingAppend is an append that has no answer yet.
type pendingAppend struct {
	wanted uint64
	future jetstream.PubAckFuture
}

// inFlight is how many appends are on their way. Each is synced by itself, but the broker need not wait for us.
const inFlight = 200

// What the broker keeps of how an event was once appended. The events come back one by one, and what was expected of the
// log then, by an earlier repair too, is not so any more.
const (
	ofBatches      = "Nats-Batch-"
	ofExpectations = "Nats-Expected-"
)

// stated is what the writer of a message put into its headers.
func stated(a archive.Archived) nats.Header {
	header := nats.Header{}
	for name, values := range a.Headers {
		if !strings.HasPrefix(name, ofBatches) && !strings.HasPrefix(name, ofExpectations) {
			header[name] = values
		}
	}
	return header
}

// append appends a message as it was, with its id and its number among its entity's events. Exactly, the answer is awaited
// later: call await at the end.
func (w *writeBack) append(ctx context.Context, a archive.Archived) error {
	header := stated(a)
	m := &nats.Msg{Subject: a.Subject, Header: header, Data: a.Body()}
	if w.exact {
		header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(a.Sequence-1, 10))
		future, err := w.reader.js.PublishMsgAsync(m)
		if err != nil {
			return fmt.Errorf("append %d: %w", a.Sequence, err)
		}
		w.pending = append(w.pending, pendingAppend{a.Sequence, future})
		return w.await(ctx, inFlight)
	}
	end, err := w.endOf(ctx, a.Subject)
	if err != nil {
		return err
	}
	header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(end, 10))
	ack, err := w.reader.js.PublishMsg(ctx, m)
	if err != nil {
		return fmt.Errorf("append what was %d: %w", a.Sequence, tooLate(err))
	}
	w.ends[a.Subject] = ack.Sequence
	return nil
}

// endOf is the sequence of a subject's last event, 0 when there is none. It returns [ErrConcurrentAppend] when that is of another
// time than the plan: what was to be restored may stand there already.
func (w *writeBack) endOf(ctx context.Context, subject string) (uint64, error) {
	if end, ok := w.ends[subject]; ok {
		return end, nil
	}
	last, err := w.reader.Newest(ctx, subject)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if last.Sequence > w.compared {
		return 0, fmt.Errorf("%s: %w", subject, ErrConcurrentAppend)
	}
	return last.Sequence, nil
}

// await waits until at most so many appends have no answer.
func (w *writeBack) await(ctx context.Context, atMost int) error {
	for len(w.pending) > atMost {
		p := w.pending[0]
		w.pending = w.pending[1:]
		select {
		case ack := <-p.future.Ok():
			if ack.Sequence != p.wanted {
				return fmt.Errorf("append %d: it was stored at %d", p.wanted, ack.Sequence)
			}
		case err := <-p.future.Err():
			return fmt.Errorf("append %d: %w", p.wanted, tooLate(err))
		case <-ctx.Done(): // a broker that hangs, or went away for good, never answers
			return ctx.Err()
		}
	}
	return nil
}

// The broker's answers to an append whose expectation does not hold (nats-server/server/errors.json).
const (
	wrongLastSequence         = 10071
	wrongLastSequenceConstant = 10164
)

// tooLate makes [ErrConcurrentAppend] of a refusal.
func tooLate(err error) error {
	var refused *jetstream.APIError
	if errors.As(err, &refused) && (refused.ErrorCode == wrongLastSequence || refused.ErrorCode == wrongLastSequenceConstant) {
		return fmt.Errorf("%w (%w)", ErrConcurrentAppend, err)
	}
	return err
}
