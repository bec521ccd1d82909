package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// source is the domain as which operators append: to what stands under ops.
const source = "ops"

// answerIn is how long an append of a repair or a restore waits for its answer. A broker never answers what its permissions
// forbid.
const answerIn = time.Minute

// Reader reads a shop's log. It is safe for concurrent use.
type Reader struct {
	log   *eventlog.Log
	js    jetstream.JetStream // without the log's time-outs, for what may take its time
	reads jetstream.Stream    // for reading single messages
}

// Open finds the shop's log. It returns [ErrNoShop], naming what is missing, rather than create anything.
func Open(ctx context.Context, conn *nats.Conn) (*Reader, error) {
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncTimeout(answerIn))
	if err != nil {
		return nil, fmt.Errorf("open log for reading: %w", err)
	}
	reads, err := js.Stream(ctx, events.StreamShop)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: no stream %s", ErrNoShop, events.StreamShop)
	}
	if err != nil {
		return nil, fmt.Errorf("open stream %s for reading: %w", events.StreamShop, err)
	}
	replicas := reads.CachedInfo().Config.Replicas
	l, err := eventlog.Open(ctx, conn, eventlog.Config{Source: source, MustExist: true, Replicas: replicas})
	if err != nil {
		return nil, fmt.Errorf("open log for reading: %w", err)
	}
	if replicas > 1 {
		// By this the client chooses whom to ask: the leader, because a copy may lag behind it.
		reads.CachedInfo().Config.AllowDirect = false
	}
	return &Reader{log: l, js: js, reads: reads}, nil
}

// Close ends the reader. The connection is its owner's.
func (r *Reader) Close() { r.log.Close() }

// Log is the log that is read, for those who look after projections.
func (r *Reader) Log() *eventlog.Log { return r.log }

// Message is one message as it stands in the log; not every one is an event of the shop.
type Message = eventlog.Message

// Range is a part of the log.
type Range struct {
	From  uint64    // first sequence; default the beginning
	To    uint64    // last sequence; default what is the last when reading begins
	Since time.Time // instead of From: what was stored then or later
	// Gap is told which sequences the log lacks, before reading goes on behind them; default: nobody is told.
	Gap func(from, to uint64)
	// Subjects are literal subjects or wildcards; default all. The broker chooses what fits, so a gap does not show.
	Subjects []string
}

// Last returns the sequence of the log's last message, 0 when it never had one.
func (r *Reader) Last(ctx context.Context) (uint64, error) { return r.log.End(ctx, 0) }

// Get returns the message at a sequence, or [ErrNotFound].
func (r *Reader) Get(ctx context.Context, sequence uint64) (Message, error) {
	what := fmt.Sprintf("sequence %d", sequence)
	if sequence == 0 { // sequences begin at 1, and the broker takes 0 for no question at all
		return r.message(nil, jetstream.ErrMsgNotFound, what)
	}
	raw, err := r.reads.GetMsg(ctx, sequence)
	return r.message(raw, err, what)
}

// Newest returns the last message on a subject, or [ErrNotFound].
func (r *Reader) Newest(ctx context.Context, subject string) (Message, error) {
	raw, err := r.reads.GetLastMsgForSubject(ctx, subject)
	return r.message(raw, err, subject)
}

func (r *Reader) message(raw *jetstream.RawStreamMsg, err error, what string) (Message, error) {
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Message{}, fmt.Errorf("%w: %s", ErrNotFound, what)
	}
	if err != nil {
		return Message{}, fmt.Errorf("read %s: %w", what, err)
	}
	return r.log.Adopt(Message{Subject: raw.Subject, Sequence: raw.Sequence, Stored: raw.Time, Header: raw.Header, Data: raw.Data}), nil
}
