package log

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Message is one message as it is stored in the log. Not every message is an event of the shop.
type Message struct {
	Sequence uint64
	Subject  string
	Stored   time.Time // by the broker's clock
	Header   nats.Header
	Data     []byte

	reader *core // nil when no log has read the message
}

// Voided reports whether the log that read the message knows that it was declared void.
func (m Message) Voided() bool { return m.reader != nil && m.reader.Voided(m.Sequence) }

// Adopt returns a message from another source, such as the archive, as one that this log has read.
func (l *Log) Adopt(m Message) Message {
	m.reader = l.core
	return m
}

// topology returns the topology that the reader of a message knows.
func (m Message) topology() int {
	if m.reader == nil {
		return events.Topology
	}
	return m.reader.config.Topology.Version
}

// Newer returns [events.ErrNewer] when a newer release wrote the message and the message is not void.
func (m Message) Newer() error {
	values := m.Header[events.HeaderTopology]
	if len(values) == 0 || values[0] == "1" || m.Voided() {
		return nil
	}
	e, err := events.DecodeEnvelope(m.Subject, m.Header)
	if err != nil {
		return nil //nolint:nilerr // not an event
	}
	return events.CheckTopology(e, m.topology())
}

// Event decodes the message. It returns the errors of [events.Decode].
func (m Message) Event() (events.Event, error) {
	e, err := events.Decode(m.Subject, m.Header, m.Data)
	e.Sequence = m.Sequence
	return e, err
}

// Type returns the event type in the message's header, "" when it has none.
func (m Message) Type() string {
	if values := m.Header[events.HeaderType]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// GapError is returned by Follow when the log lacks messages. The stream denies deletion, so a gap is damage.
type GapError struct{ From, To uint64 } // the first and the last missing sequence

// Error implements error: the missing sequences and the command that helps.
func (e *GapError) Error() string {
	return "the log is damaged: " + describe([]GapError{*e}) + " missing; run `ops repair`"
}

// prefetch is how many messages are in flight to a reader, heartbeat how often the broker sends a heartbeat when it has no
// messages. The server that serves a reader need not be the one that the connection goes to: when it dies, the reader
// detects that only by two missed heartbeats.
const (
	prefetch  = 2000
	heartbeat = time.Second
)

// Follow calls fn for every message from a sequence on, in order and without gaps, until ctx ends or fn returns an error. It
// returns [*GapError] when the log lacks messages, [ErrUnavailable] when the broker cannot be read, or the error of ctx or
// fn. It survives broken connections.
func (l *Log) Follow(ctx context.Context, from uint64, fn func(Message) error) error {
	from = max(from, 1)
	consumer, err := l.openConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from})
	if err != nil {
		return err
	}
	return l.consume(ctx, consumer, func(m Message, _ uint64) (bool, error) {
		switch {
		case m.Sequence < from:
			return true, nil // delivered again after the connection broke
		case m.Sequence > from:
			return false, &GapError{From: from, To: m.Sequence - 1}
		}
		from++
		return true, fn(m)
	})
}

// FollowSubjects is Follow for the messages whose subjects match a filter. The broker filters, so gaps are not detected.
func (l *Log) FollowSubjects(ctx context.Context, filters []string, from uint64, fn func(Message) error) error {
	from = max(from, 1)
	consumer, err := l.openConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, FilterSubjects: filters})
	if err != nil {
		return err
	}
	return l.consume(ctx, consumer, func(m Message, _ uint64) (bool, error) {
		if m.Sequence < from {
			return true, nil // delivered again after the connection broke
		}
		from = m.Sequence + 1
		return true, fn(m)
	})
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

// consume calls fn with every message and the number of messages after it, until fn returns false or an error, or ctx ends.
func (l *core) consume(ctx context.Context, consumer jetstream.Consumer, fn func(m Message, pending uint64) (more bool, err error)) error {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(prefetch), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("read the log: %w", unavailable(ctx, err))
	}
	defer messages.Stop()
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	for {
		msg, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) && ctx.Err() != nil {
			return ReadError(ctx)
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", unavailable(ctx, err))
		}
		m, pending, err := l.messageOf(msg)
		if err != nil {
			return err
		}
		l.metrics.read.Inc()
		if more, err := fn(m, pending); err != nil || !more {
			return err
		}
	}
}

func (l *core) messageOf(msg jetstream.Msg) (m Message, pending uint64, err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return Message{}, 0, fmt.Errorf("read the log: %w", err)
	}
	return Message{Sequence: meta.Sequence.Stream, Subject: msg.Subject(), Stored: meta.Timestamp, Header: msg.Headers(), Data: msg.Data(), reader: l},
		meta.NumPending, nil
}

// Get returns the message at a sequence, or [ErrNotFound]. A message of a gap is returned if FillGap has given it to the log.
func (l *Log) Get(ctx context.Context, sequence uint64) (Message, error) {
	var raw *jetstream.RawStreamMsg
	err := l.Retry(ctx, func(ctx context.Context) (err error) {
		raw, err = l.reads.GetMsg(ctx, sequence)
		return err
	})
	if filled := l.filled.get(sequence); isNotFound(err) && filled != nil {
		raw, err = filled, nil
	}
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

// Observe records that this process has read a message: older states of its subject are no longer used from the cache. It
// also records an event that the message declares void, and a message that a newer release wrote.
func (l *Log) Observe(m Message) {
	l.cache.seen(m.Subject, m.Sequence)
	l.observeVoid(m)
	_ = l.ReportNewer(m) // recorded, and returned by Damage
}

// highWater records the last committed sequence that this process has seen, and detects a truncated log.
type highWater struct {
	mu   sync.Mutex
	seen uint64
	gone chan struct{} // closed when the log is found truncated
	err  error         // why it counts as truncated
}

func newHighWater() *highWater { return &highWater{gone: make(chan struct{})} }

// committed records the sequences of an acknowledged append. It returns an error when one of them was seen before: a broker
// assigns no sequence twice unless an older store was restored, so the append must not count as stored. The sequences of an
// uncertain append may be old, because its first try may have been stored before later appends.
func (h *highWater) committed(first, last uint64, uncertain bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first <= h.seen && !uncertain {
		h.fail(fmt.Errorf("%w: sequence %d was assigned to a new event, but this process has seen %d", ErrTruncated, first, h.seen))
		return fmt.Errorf("%w: %w", ErrUnavailable, h.err)
	}
	h.seen = max(h.seen, last)
	return nil
}

// reached returns the last committed sequence that this process has seen.
func (h *highWater) reached() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// compare compares the end of the log with the sequence that this process had seen when it asked for the end. Later commits
// do not count, because the answer may be older than they are.
func (h *highWater) compare(seen, last uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last < seen {
		h.fail(fmt.Errorf("%w: it ends at %d, but this process has seen %d", ErrTruncated, last, seen))
	}
}

func (h *highWater) fail(err error) {
	if h.err == nil {
		h.err = err
		close(h.gone)
	}
}

// Monitor returns [ErrTruncated] when the broker has lost messages that it had acknowledged to this process, which Monitor
// checks after every reconnect. It returns [events.ErrNewer] when a newer release has begun to write events that this program
// cannot read, and nil when ctx ends.
func (l *Log) Monitor(ctx context.Context) error {
	connected := l.conn.StatusChanged(nats.CONNECTED)
	defer l.conn.RemoveStatusListener(connected)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.high.gone:
			return l.high.err
		case <-l.members.gone:
			return l.members.err
		case _, open := <-connected:
			if !open {
				<-ctx.Done() // the connection was closed, which its owner reports
				return nil
			}
			l.checkEnd(ctx)
		}
	}
}

// A leader that is cut off from its cluster steps down after up to 20 s: it checks every 10 s whether it has heard from the
// other servers in the last 10 s (nats-server/server/raft.go, lostQuorumCheck and lostQuorumInterval). End reads again every
// endDelay until staleLeader has passed.
const (
	staleLeader = 30 * time.Second
	endDelay    = time.Second
)

// checkEnd compares the end of the log with what this process has seen. Without an answer, the next append compares.
func (l *core) checkEnd(ctx context.Context) {
	seen := l.high.reached()
	last, err := l.end(ctx, seen)
	if err != nil {
		l.config.Logger.Warn("end of log not read", "error", err)
		return
	}
	l.high.compare(seen, last)
}

// End returns the sequence at which the log ends. seen is a sequence that the log is known to have reached, or 0. In a cluster
// the server that answers may be cut off and lag, so after a smaller answer End asks again for up to half a minute, until a
// stale leader must have stepped down. An append to a truncated log is detected meanwhile by its sequence.
func (l *Log) End(ctx context.Context, seen uint64) (last uint64, err error) { return l.end(ctx, seen) }

func (l *core) end(ctx context.Context, seen uint64) (last uint64, err error) {
	for deadline := time.Now().Add(staleLeader); ; {
		info, err := l.shop.Info(ctx)
		if err != nil {
			return 0, fmt.Errorf("read end of log: %w", unavailable(ctx, err))
		}
		if info.State.LastSeq >= seen || l.config.Replicas == 1 || time.Now().After(deadline) {
			return info.State.LastSeq, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-l.high.gone: // detected by an append
			return info.State.LastSeq, nil
		case <-time.After(endDelay):
		}
	}
}
