// Package feed is how a loop gets its messages: a durable pull consumer, kept alive over broken connections, read in
// whatever quantity has arrived.
//
// An exclusive feed promises every message in the order of the stream, without a gap, from the acknowledged floor on. The
// broker alone does not: what a replica fetched before it died is delivered again only after AckWait, and its successor
// gets newer messages first. The broker numbers its deliveries, so a gap shows; then the feed has the consumer start
// again at its floor (which starts the numbers again at 1), and takes messages only in the sequence of these numbers.
//
// A shared feed asks for no more messages than its reader has places for, so whatever arrives is begun at once and its
// reader shows the broker signs of life from then on. What waits in a queue shows none: after AckWait it would be
// delivered again, to be done twice, while another replica may have a place free.
//
// Every message is acknowledged by itself. Acknowledging "this and everything before" would be cheaper, but in the hands
// of a successor it says of messages that it never saw that they were handled.
package feed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/log"
)

// group is the priority group that exclusive consumers are pinned in.
const group = "active"

// PinnedTTL is how soon a standby takes over from a replica that died: so long a pin lasts without a new pull.
const PinnedTTL = 5 * time.Second

// pullExpiry is how often an idle replica pulls anew; it must be shorter than a pin lasts.
const pullExpiry = 2 * time.Second

// Config is one durable consumer.
type Config struct {
	AckWait       time.Duration // default 30 s
	Exclusive     bool          // one active replica at a time, in order; else shared
	Filter        []string      // subjects; default all of the stream
	MaxAckPending int           // delivered and not yet acknowledged; default 1,000
	Name          string
	Prefetch      int // messages on the way to this process; default 1,000; of a shared feed those too that Take returned, until Release
	Stream        string
}

// Consumer is the configuration as the broker keeps it.
func (c Config) Consumer(replicas int) jetstream.ConsumerConfig {
	config := jetstream.ConsumerConfig{
		Durable: c.Name, DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait,
		MaxAckPending: c.MaxAckPending, FilterSubjects: c.Filter, MaxDeliver: -1, Replicas: replicas,
	}
	if c.Exclusive {
		config.PriorityPolicy, config.PriorityGroups, config.PinnedTTL = jetstream.PriorityPolicyPinned, []string{group}, PinnedTTL
	}
	return config
}

func (c Config) withDefaults() Config {
	if c.AckWait == 0 {
		c.AckWait = 30 * time.Second
	}
	if c.Prefetch == 0 {
		c.Prefetch = 1000
	}
	if c.MaxAckPending == 0 {
		c.MaxAckPending = 1000
	}
	return c
}

// Message is one delivery.
type Message struct {
	jetstream.Msg
	Sequence uint64 // in its stream
	Attempt  int    // deliveries so far, from 1
	number   uint64 // of this delivery among those of the consumer
}

// Feed delivers messages until it is closed.
type Feed struct {
	config   Config
	log      *log.Log
	consumer jetstream.Consumer
	messages chan Message
	places   chan struct{} // of a shared feed: free ones
	standing atomic.Pointer[standing]
	cancel   context.CancelFunc
	done     chan struct{}
}

// Open creates the consumer if it is missing and starts to fetch. It returns [log.ErrDrift] when the consumer exists
// and is configured otherwise.
func Open(ctx context.Context, l *log.Log, config Config) (*Feed, error) {
	config = config.withDefaults()
	consumer, err := ensurePatiently(ctx, l, config)
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &Feed{config: config, log: l, consumer: consumer, messages: make(chan Message, config.Prefetch), cancel: cancel, done: make(chan struct{})}
	f.standing.Store(standingOf(consumer.CachedInfo()))
	if !config.Exclusive {
		f.places = make(chan struct{}, config.Prefetch)
		f.free(config.Prefetch)
	}
	go f.watch(running)
	go f.run(running)
	return f, nil
}

// Acknowledge tells the broker that messages were handled. An acknowledgement that is lost delivers its message again,
// so an error is only worth a line in the log.
func (f *Feed) Acknowledge(batch []Message) {
	for _, m := range batch {
		if err := m.Ack(); err != nil {
			f.log.Logger().Warn("acknowledge", "consumer", f.config.Name, "sequence", m.Sequence, "error", err)
			return
		}
	}
}

// Take waits for a message and returns it with what else has arrived, at most limit. It returns nil when ctx ends or
// the feed is closed.
func (f *Feed) Take(ctx context.Context, limit int) []Message {
	var batch []Message
	select {
	case <-ctx.Done():
		return nil
	case m, ok := <-f.messages:
		if !ok {
			return nil
		}
		batch = append(batch, m)
	}
	return f.More(batch, limit)
}

// More adds what has arrived, without waiting, up to limit messages in all.
func (f *Feed) More(batch []Message, limit int) []Message {
	for len(batch) < limit {
		select {
		case m, ok := <-f.messages:
			if !ok {
				return batch
			}
			batch = append(batch, m)
		default:
			return batch
		}
	}
	return batch
}

// Messages is the channel behind Take, for loops that wait for other things too. It is closed with the feed.
func (f *Feed) Messages() <-chan Message { return f.messages }

// Close stops fetching. What an exclusive feed has fetched is delivered again when its successor starts at the floor; what
// a shared one has fetched, and nobody took, is handed back.
func (f *Feed) Close() {
	f.cancel()
	<-f.done
	if !f.config.Exclusive {
		f.handBack()
	}
}

// run reads until the feed is closed. Errors of the iterator (consumer gone after the broker was restored, leader
// moved) are survived by opening it anew.
func (f *Feed) run(ctx context.Context) {
	defer close(f.done)
	defer close(f.messages)
	for ctx.Err() == nil {
		read := f.readShared
		if f.config.Exclusive {
			read = f.readInOrder
		}
		err := read(ctx)
		if ctx.Err() != nil {
			return
		}
		f.log.Logger().Warn("feed interrupted", "consumer", f.config.Name, "error", err)
		f.reopen(ctx)
	}
}

func (f *Feed) readInOrder(ctx context.Context) error {
	iterator, err := f.consumer.Messages(jetstream.PullMaxMessages(f.config.Prefetch), jetstream.PullExpiry(pullExpiry), jetstream.PullPriorityGroup(group))
	if err != nil {
		return err
	}
	defer iterator.Stop()
	stop := context.AfterFunc(ctx, iterator.Stop)
	defer stop()
	var seq sequencer
	for {
		m, err := f.next(ctx, iterator, &seq)
		if err != nil {
			return err
		}
		switch seq.judge(f.era(m), m.number) {
		case skip:
			continue
		case startOver:
			if err := f.startAtFloor(ctx); err != nil {
				return err
			}
			continue
		}
		select {
		case f.messages <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next waits for a message until ctx ends, and looks after the consumer while none comes.
func (f *Feed) next(ctx context.Context, iterator jetstream.MessagesContext, seq *sequencer) (Message, error) {
	for {
		msg, err := nextWithin(ctx, iterator, PinnedTTL)
		if ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, jetstream.ErrNoHeartbeat)) {
			if err := f.lookAfter(ctx, seq); err != nil {
				return Message{}, err
			}
			continue
		}
		if err != nil {
			return Message{}, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return Message{}, fmt.Errorf("metadata of %s: %w", strings.TrimSpace(msg.Subject()), err)
		}
		return Message{Msg: msg, Sequence: meta.Sequence.Stream, Attempt: int(min(meta.NumDelivered, 1<<30)), number: meta.Sequence.Consumer}, nil
	}
}

func nextWithin(ctx context.Context, iterator jetstream.MessagesContext, d time.Duration) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return iterator.Next(jetstream.NextContext(ctx))
}

// era of a delivery: another pin or another connection, and what was on the way before may be lost.
func (f *Feed) era(msg jetstream.Msg) era {
	return era{pin: msg.Headers().Get("Nats-Pin-Id"), reconnects: f.log.JetStream().Conn().Stats().Reconnects}
}

// lookAfter sees to a consumer from which nothing has come for a while. A broker that was only slow keeps the iterator,
// because with it would go the pin. What a replica had in hand when it died is delivered again after AckWait, or when a
// newer message shows the gap; if neither comes soon, the first to find the consumer unclaimed has it start over. So does
// the one that has the pin when the last deliveries did not reach it: a client that is late drops what it cannot hold.
func (f *Feed) lookAfter(ctx context.Context, seq *sequencer) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	info, err := f.consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("look after consumer %s: %w", f.config.Name, err)
	}
	if !f.config.Exclusive || info.Paused || info.NumAckPending == 0 {
		return nil // of one that is paused nothing comes, whatever it does; what it missed shows when it is resumed
	}
	pin := claimedBy(info)
	dropped := pin != "" && pin == seq.era.pin && seq.behind(info.Delivered.Consumer)
	if pin != "" && !dropped {
		return nil
	}
	if dropped {
		f.log.Logger().Warn("deliveries did not arrive", "consumer", f.config.Name, "delivered", info.Delivered.Consumer, "next", seq.next)
		seq.next = 1
	}
	return f.startAtFloor(ctx)
}

// claimedBy is the pin of the replica that is active, "" when none is.
func claimedBy(info *jetstream.ConsumerInfo) (pin string) {
	for _, g := range info.PriorityGroups {
		if g.PinnedClientID != "" {
			return g.PinnedClientID
		}
	}
	return ""
}

// startAtFloor has the broker forget what it delivered and was not acknowledged, and deliver it again, in order.
func (f *Feed) startAtFloor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := f.log.JetStream().ResetConsumer(ctx, f.config.Stream, f.config.Name); err != nil {
		return fmt.Errorf("reset consumer %s: %w", f.config.Name, err)
	}
	return nil
}

// reopen finds or recreates the consumer, with pauses in between, until it succeeds or ctx ends.
func (f *Feed) reopen(ctx context.Context) {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		consumer, err := ensure(try, f.log, f.config)
		cancel()
		if err == nil {
			f.consumer = consumer
			return
		}
		f.log.Logger().Warn("cannot reopen consumer", "consumer", f.config.Name, "error", err)
		if log.IsPassing(err) {
			f.log.LookElsewhere()
		}
	}
}
