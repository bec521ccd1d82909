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

// rewriter appends messages that the log had before. Repair and Restore use it.
type rewriter struct {
	reader   *Reader
	exact    bool              // under the old sequences, or not at all
	compared uint64            // end of the log when the plan was made; only if not exact
	ends     map[string]uint64 // last sequence of each subject; only if not exact
	pending  []pendingAppend
}

// pendingAppend is an append without an acknowledgement yet.
type pendingAppend struct {
	wanted uint64
	future jetstream.PubAckFuture
}

// maxPending is the number of appends in flight: the broker syncs each one, and the next ones should arrive meanwhile.
const maxPending = 200

// Prefixes of the headers of the original append. The messages are appended one by one, and the old expectations no longer hold.
const (
	batchHeaders       = "Nats-Batch-"
	expectationHeaders = "Nats-Expected-"
)

// headersOf returns the headers of a message without those of its original append.
func headersOf(a archive.Archived) nats.Header {
	header := nats.Header{}
	for name, values := range a.Headers {
		if !strings.HasPrefix(name, batchHeaders) && !strings.HasPrefix(name, expectationHeaders) {
			header[name] = values
		}
	}
	return header
}

// append appends a message with its old id and revision. If exact, the acknowledgement may be pending when it returns: call await at
// the end.
func (w *rewriter) append(ctx context.Context, a archive.Archived) error {
	header := headersOf(a)
	m := &nats.Msg{Subject: a.Subject, Header: header, Data: a.Body()}
	if w.exact {
		header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(a.Sequence-1, 10))
		future, err := w.reader.js.PublishMsgAsync(m)
		if err != nil {
			return fmt.Errorf("append %d: %w", a.Sequence, err)
		}
		w.pending = append(w.pending, pendingAppend{a.Sequence, future})
		return w.await(ctx, maxPending)
	}
	end, err := w.endOf(ctx, a.Subject)
	if err != nil {
		return err
	}
	header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(end, 10))
	ack, err := w.reader.js.PublishMsg(ctx, m)
	if err != nil {
		return fmt.Errorf("append former %d: %w", a.Sequence, asConcurrentAppend(err))
	}
	w.ends[a.Subject] = ack.Sequence
	return nil
}

// endOf returns the sequence of the last event of a subject, 0 when there is none. It returns [ErrConcurrentAppend] when that event was
// appended after the plan was made.
func (w *rewriter) endOf(ctx context.Context, subject string) (uint64, error) {
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

// await waits until at most that many appends are pending.
func (w *rewriter) await(ctx context.Context, pending int) error {
	for len(w.pending) > pending {
		p := w.pending[0]
		w.pending = w.pending[1:]
		select {
		case ack := <-p.future.Ok():
			if ack.Sequence != p.wanted {
				return fmt.Errorf("append %d: stored at %d", p.wanted, ack.Sequence)
			}
		case err := <-p.future.Err():
			return fmt.Errorf("append %d: %w", p.wanted, asConcurrentAppend(err))
		case <-ctx.Done(): // a broker that hangs never replies
			return ctx.Err()
		}
	}
	return nil
}

// Error codes for an append with an expected sequence that does not match (nats-server/server/errors.json).
const (
	wrongLastSequence         = 10071
	wrongLastSequenceConstant = 10164
)

// asConcurrentAppend converts the error codes for an unexpected sequence to [ErrConcurrentAppend].
func asConcurrentAppend(err error) error {
	var refused *jetstream.APIError
	if errors.As(err, &refused) && (refused.ErrorCode == wrongLastSequence || refused.ErrorCode == wrongLastSequenceConstant) {
		return fmt.Errorf("%w (%w)", ErrConcurrentAppend, err)
	}
	return err
}
