package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// source is the domain under which operators append events.
const source = "ops"

// ackTimeout is how long a repair or a restore waits for the acknowledgement of an append. A broker does not reply to an append
// that its permissions forbid.
const ackTimeout = time.Minute

// Reader reads the log of a shop. It is safe for concurrent use.
type Reader struct {
	log     *eventlog.Log
	js      jetstream.JetStream // without the timeouts of the log, for long operations
	reads   jetstream.Stream    // reads single messages, from the leader
	copies  jetstream.Stream    // reads single messages from any server of a cluster; nil without a cluster
	timeout time.Duration       // how long a read waits for the next message that the broker has

	lettersMu sync.Mutex // held while dead letters are read
	letters   letterFold // the current states of all dead letters

	// source reads for Follow.
	source func(ctx context.Context, from uint64, fn func(Message) error) error
}

// Open opens the log of a shop. It creates nothing: when a stream is missing, it returns [ErrNoShop] and names the stream.
func Open(ctx context.Context, conn *nats.Conn) (*Reader, error) {
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(ackTimeout))
	if err != nil {
		return nil, fmt.Errorf("open log for reading: %w", err)
	}
	shop, err := js.Stream(ctx, events.StreamShop)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: no stream %s", ErrNoShop, events.StreamShop)
	}
	if err != nil {
		return nil, fmt.Errorf("open stream %s for reading: %w", events.StreamShop, err)
	}
	l, err := eventlog.Open(ctx, conn, eventlog.Config{Source: source, MustExist: true, Replicas: shop.CachedInfo().Config.Replicas})
	if err != nil {
		return nil, fmt.Errorf("open log for reading: %w", err)
	}
	return newReader(ctx, l, js)
}

// On returns a reader of the log that a process has open. Do not close it.
func On(ctx context.Context, l *eventlog.Log) (*Reader, error) {
	return newReader(ctx, l, l.JetStream())
}

func newReader(ctx context.Context, l *eventlog.Log, js jetstream.JetStream) (*Reader, error) {
	r := &Reader{log: l, js: js, timeout: eventlog.StallTimeout, source: l.Follow}
	var err error
	if r.reads, err = js.Stream(ctx, events.StreamShop); err != nil {
		return nil, fmt.Errorf("open stream %s for reading: %w", events.StreamShop, err)
	}
	if l.Replicas() == 1 {
		return r, nil
	}
	if r.copies, err = js.Stream(ctx, events.StreamShop); err != nil {
		return nil, fmt.Errorf("open stream %s for reading: %w", events.StreamShop, err)
	}
	// Without AllowDirect the client reads from the leader: another replica may lag behind it.
	r.reads.CachedInfo().Config.AllowDirect = false
	return r, nil
}

// FollowWith makes [Reader.Follow] read with a function in place of [eventlog.Log.Follow], such as one that shares the messages that
// other parts of the process read. Call it before the first read.
func (r *Reader) FollowWith(source func(ctx context.Context, from uint64, fn func(Message) error) error) {
	r.source = source
}

// Close closes the reader, but not the connection.
func (r *Reader) Close() { r.log.Close() }

// Log returns the log, for rebuilds of projections.
func (r *Reader) Log() *eventlog.Log { return r.log }

// Message is one message of the log. Not every message is an event of the shop.
type Message = eventlog.Message

// Range is a part of the log.
type Range struct {
	From  uint64    // first sequence; default the first of the log
	To    uint64    // last sequence; default the last one when the read begins
	Since time.Time // instead of From: messages stored at this time or later
	// Gap is called with the first and the last of the sequences that the log lacks, before the read continues after them; default none.
	Gap func(from, to uint64)
	// Subjects are literal subjects or wildcards; default all. With Subjects, the broker filters and gaps are not detected.
	Subjects []string
}

// Last returns the sequence of the last message, 0 when the log is empty.
func (r *Reader) Last(ctx context.Context) (uint64, error) { return r.log.End(ctx, 0) }

// Get returns the message at a sequence, or [ErrNotFound].
func (r *Reader) Get(ctx context.Context, sequence uint64) (Message, error) {
	object := fmt.Sprintf("sequence %d", sequence)
	if sequence == 0 { // sequences begin at 1, and the broker rejects a request for 0
		return r.message(nil, jetstream.ErrMsgNotFound, object)
	}
	raw, err := r.reads.GetMsg(ctx, sequence)
	return r.message(raw, err, object)
}

// Newest returns the last message on a subject, or [ErrNotFound].
func (r *Reader) Newest(ctx context.Context, subject string) (Message, error) {
	raw, err := r.reads.GetLastMsgForSubject(ctx, subject)
	return r.message(raw, err, subject)
}

func (r *Reader) message(raw *jetstream.RawStreamMsg, err error, object string) (Message, error) {
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, fmt.Errorf("%w: %s", ErrNotFound, object)
	}
	if err != nil {
		return Message{}, fmt.Errorf("read %s: %w", object, err)
	}
	return r.log.Adopt(Message{Subject: raw.Subject, Sequence: raw.Sequence, Stored: raw.Time, Header: raw.Header, Data: raw.Data}), nil
}

// errEnd ends a read at the end of its range.
var errEnd = errors.New("end of the range")

// Each calls fn once for every message of a range, in order, and returns after the last one or when fn returns an error. It skips
// gaps and reconnects when the connection breaks.
func (r *Reader) Each(ctx context.Context, part Range, fn func(Message) error) error {
	last, err := r.Last(ctx)
	if err != nil {
		return err
	}
	if part.To == 0 || part.To > last {
		part.To = last
	}
	if part.To == 0 || part.From > part.To {
		return nil
	}
	if len(part.Subjects) > 0 {
		return r.consume(ctx, events.StreamShop, ordered(part), part.To, fn)
	}
	from, err := r.first(ctx, part)
	if err != nil {
		return err
	}
	return r.each(ctx, from, part.To, part.Gap, fn)
}

// each delivers the messages between two sequences.
func (r *Reader) each(ctx context.Context, from, to uint64, gap func(from, to uint64), fn func(Message) error) error {
	end, err := r.lastOf(ctx, from, to)
	if err != nil {
		return err
	}
	next := from
	missing := func(to uint64) error { return r.fillGap(ctx, next, to, gap, fn) }
	if from <= end {
		err = r.consume(ctx, events.StreamShop, ordered(Range{From: from}), end, func(m Message) error {
			if m.Sequence < next {
				return nil // delivered again after the connection broke
			}
			if err := missing(m.Sequence - 1); err != nil {
				return err
			}
			next = m.Sequence + 1
			return fn(m)
		})
	}
	if err != nil {
		return err
	}
	return missing(to)
}

// Follow is like Each without an end: it continues with new messages until ctx ends or fn returns an error. It ignores To and
// Subjects. caughtUp, if not nil, is called once, after the last message that existed at the start.
func (r *Reader) Follow(ctx context.Context, part Range, caughtUp func(), fn func(Message) error) error {
	from, err := r.first(ctx, part)
	if err != nil {
		return err
	}
	last, err := r.Last(ctx)
	if err != nil {
		return err
	}
	if last, err = r.lastOf(ctx, from, last); err != nil {
		return err
	}
	reached := func(sequence uint64) {
		if caughtUp != nil && sequence >= last {
			caughtUp()
			caughtUp = nil
		}
	}
	reached(from - 1)
	return r.follow(ctx, from, part.Gap, func(m Message) error {
		if err := fn(m); err != nil {
			return err
		}
		reached(m.Sequence)
		return nil
	})
}

// follow reads from a sequence on, across gaps, until fn returns an error.
func (r *Reader) follow(ctx context.Context, from uint64, gap func(from, to uint64), fn func(Message) error) error {
	for {
		err := r.source(ctx, from, fn)
		var missing *eventlog.GapError
		switch {
		case errors.As(err, &missing):
			if gap != nil {
				gap(missing.From, missing.To)
			}
			from = missing.To + 1
		case ctx.Err() == nil && errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("read the log: %w", ErrInterrupted)
		default:
			return err
		}
	}
}

// first returns the first sequence of a range.
func (r *Reader) first(ctx context.Context, part Range) (uint64, error) {
	if part.Since.IsZero() {
		return max(part.From, 1), nil
	}
	last, err := r.Last(ctx)
	if err != nil {
		return 0, err
	}
	from := last + 1
	err = r.consume(ctx, events.StreamShop, ordered(part), last, func(m Message) error {
		from = m.Sequence
		return errEnd
	})
	if errors.Is(err, errEnd) {
		err = nil
	}
	return from, err
}

// lastOf returns the sequence of the last message between two sequences, or from-1 when there is none. It differs from the second
// sequence only where the log is damaged: a reader would wait forever for a message that does not exist.
func (r *Reader) lastOf(ctx context.Context, from, to uint64) (uint64, error) {
	if from > to {
		return from - 1, nil
	}
	_, err := r.Get(ctx, to)
	if !errors.Is(err, ErrNotFound) {
		return to, err
	}
	low, high := from-1, to-1 // there is no message after high
	for low < high {
		middle := high - (high-low)/2
		raw, err := r.reads.GetMsg(ctx, middle, jetstream.WithGetMsgSubject(">"))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && raw.Sequence > high:
			high = middle - 1
		case err != nil:
			return 0, fmt.Errorf("read the log from %d on: %w", middle, err)
		default:
			low = raw.Sequence
		}
	}
	return low, nil
}
