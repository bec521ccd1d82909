package log

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Message is one message as it stands in the log; not every one is an event of the shop.
type Message struct {
	Sequence uint64
	Subject  string
	Stored   time.Time // by the broker's clock
	Header   nats.Header
	Data     []byte

	reader *core // nil for one that was not read by a log
}

// Voided reports whether operators have declared the message void, as far as its reader knows by now.
func (m Message) Voided() bool { return m.reader != nil && m.reader.Voided(m.Sequence) }

// Adopt returns a message that came by another way as one that this log has read.
func (l *Log) Adopt(m Message) Message {
	m.reader = l.core
	return m
}

// topology is which topology the reader of a message knows.
func (m Message) topology() int {
	if m.reader == nil {
		return events.Topology
	}
	return m.reader.config.Topology.Version
}

// Newer returns [events.ErrNewer] when a newer release wrote the message and it was not declared void.
func (m Message) Newer() error {
	values := m.Header[events.HeaderTopology]
	if len(values) == 0 || values[0] == "1" || m.Voided() {
		return nil
	}
	e, err := events.DecodeEnvelope(m.Subject, m.Header)
	if err != nil {
		return nil //nolint:nilerr // no event at all
	}
	return events.CheckTopology(e, m.topology())
}

// Event reads the message. Its errors are those of [events.Decode].
func (m Message) Event() (events.Event, error) {
	e, err := events.Decode(m.Subject, m.Header, m.Data)
	e.Sequence = m.Sequence
	return e, err
}

// Type is the type in the message's header, "" when it has none.
func (m Message) Type() string {
	if values := m.Header[events.HeaderType]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// GapError is returned by Follow when the log lacks messages. The stream denies deletion, so a gap is damage.
type GapError struct{ From, To uint64 } // the first and the last sequence that is missing

func (e *GapError) Error() string {
	return fmt.Sprintf("the log is damaged: sequences %d to %d are missing; run `ops repair`", e.From, e.To)
}

// prefetch is how many messages are on the way to a reader at once, heartbeat how often a broker that has none says that it
// is there. The broker that serves a reader need not be the one that its connection goes to: when it dies, silence alone
// tells, after two heartbeats.
const (
	prefetch  = 2000
	heartbeat = time.Second
)

// Follow calls fn for every message from a sequence on, in order and without gaps, until ctx ends or fn fails. It returns
// [*GapError] when the log lacks messages, [ErrUnavailable] when the broker cannot be read, ctx's error, or fn's. It
// survives broken connections.
func (l *Log) Follow(ctx context.Context, from uint64, fn func(Message) error) error {
	from = max(from, 1)
	consumer, err := l.openConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(prefetch), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("read the log: %w", unavailable(ctx, err))
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		m, err := l.next(ctx, messages)
		if err != nil {
			return err
		}
		switch {
		case m.Sequence < from:
			continue // delivered again after the connection broke
		case m.Sequence > from:
			return &GapError{From: from, To: m.Sequence - 1}
		}
		from++
		if err := fn(m); err != nil {
			return err
		}
	}
}

// Snapshot calls fn for the newest message of every subject that matches a filter, in order, and returns the sequence up to
// which it has seen the log: reading goes on behind it.
func (l *Log) Snapshot(ctx context.Context, filters []string, fn func(Message) error) (upTo uint64, err error) {
	if upTo, err = l.End(ctx, 0); err != nil {
		return 0, err
	}
	consumer, err := l.openConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: filters})
	if err != nil {
		return 0, err
	}
	if consumer.CachedInfo().NumPending == 0 {
		return upTo, nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(prefetch), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", unavailable(ctx, err))
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		msg, err := messages.Next()
		if err != nil {
			return 0, fmt.Errorf("read the log: %w", unavailable(ctx, err))
		}
		m, pending, err := l.messageOf(msg)
		if err == nil {
			l.metrics.read.Inc()
			err = fn(m)
		}
		if err != nil || pending == 0 {
			return upTo, err
		}
	}
}

func (l *core) openConsumer(ctx context.Context, config jetstream.OrderedConsumerConfig) (consumer jetstream.Consumer, err error) {
	err = l.retryFor(ctx, openPatience, func(ctx context.Context) (err error) {
		consumer, err = l.js.OrderedConsumer(ctx, events.StreamShop, config)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", unavailable(ctx, err))
	}
	return consumer, nil
}

// next waits for a message until ctx ends.
func (l *core) next(ctx context.Context, messages jetstream.MessagesContext) (Message, error) {
	msg, err := messages.Next()
	if err != nil {
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) && ctx.Err() != nil {
			return Message{}, ctx.Err()
		}
		return Message{}, fmt.Errorf("read the log: %w", unavailable(ctx, err))
	}
	m, _, err := l.messageOf(msg)
	l.metrics.read.Inc()
	return m, err
}

func (l *core) messageOf(msg jetstream.Msg) (m Message, pending uint64, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return Message{}, 0, fmt.Errorf("read the log: %w", err)
	}
	return Message{Sequence: meta.Sequence.Stream, Subject: msg.Subject(), Stored: meta.Timestamp, Header: msg.Headers(), Data: msg.Data(), reader: l},
		meta.NumPending, nil
}

// Get returns the message at a sequence, or [ErrNotFound].
func (l *Log) Get(ctx context.Context, sequence uint64) (Message, error) {
	var raw *jetstream.RawStreamMsg
	err := l.retry(ctx, func(ctx context.Context) (err error) {
		raw, err = l.reads.GetMsg(ctx, sequence)
		return err
	})
	if isNotFound(err) {
		return Message{}, fmt.Errorf("%w: sequence %d", ErrNotFound, sequence)
	}
	if err != nil {
		return Message{}, fmt.Errorf("read sequence %d: %w", sequence, unavailable(ctx, err))
	}
	return l.messageFrom(raw), nil
}

func (l *core) messageFrom(raw *jetstream.RawStreamMsg) Message {
	return Message{Sequence: raw.Sequence, Subject: raw.Subject, Stored: raw.Time, Header: raw.Header, Data: raw.Data, reader: l}
}

// Seen notes that this process has read a message: no state of its subject that is older stays in the cache. It also takes
// note of events that are declared void, and of events that a newer release wrote.
func (l *Log) Observe(m Message) {
	l.cache.seen(m.Subject, m.Sequence)
	l.noteVoid(m)
	_ = l.ReportNewer(m) // it is remembered, and Damage tells
}
