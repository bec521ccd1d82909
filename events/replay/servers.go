package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// copyTries is how often a missing message is requested from any server of a cluster. The servers take turns at random, so with three
// of them one that has the message is missed in less than one of a million cases.
const copyTries = 35

// fillGap calls fn for the messages of a gap that another server of the cluster has, and gap for the sequences that none has. A consumer
// reads the copy of one server only, which may be damaged.
func (r *Reader) fillGap(ctx context.Context, from, to uint64, gap func(from, to uint64), fn func(Message) error) error {
	missing := func(to uint64) {
		if gap != nil && from <= to {
			gap(from, to)
		}
	}
	for sequence := from; r.copies != nil && sequence <= to; sequence++ {
		m, err := r.getAnywhere(ctx, sequence)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		missing(sequence - 1)
		from = sequence + 1
		if err := fn(m); err != nil {
			return err
		}
	}
	missing(to)
	return nil
}

// getAnywhere returns a message that any server of the cluster has, or [ErrNotFound].
func (r *Reader) getAnywhere(ctx context.Context, sequence uint64) (m Message, err error) {
	if m, err = r.Get(ctx, sequence); !errors.Is(err, ErrNotFound) {
		return m, err
	}
	for range copyTries {
		raw, getErr := r.copies.GetMsg(ctx, sequence)
		if m, err = r.message(raw, getErr, fmt.Sprintf("sequence %d", sequence)); !errors.Is(err, ErrNotFound) {
			return m, err
		}
	}
	return m, err
}

// ServerGap is a range of sequences that one server of the cluster lacks.
type ServerGap struct {
	Server   string
	From, To uint64
}

// consumerTries is how many consumers are created until each server of the cluster has hosted one: the broker chooses at random.
const consumerTries = 60

// ServerGaps reads the copy of the log of each server of the cluster up to a sequence, and returns what each lacks, and the servers that
// could not be read. pause is made after every 1,000 messages. Without a cluster it returns nothing.
func (r *Reader) ServerGaps(ctx context.Context, to uint64, pause time.Duration) (gaps []ServerGap, unread []string, err error) {
	if r.copies == nil || to == 0 {
		return nil, nil, nil
	}
	info, err := r.copies.Info(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read state of stream %s: %w", events.StreamShop, err)
	}
	pending := map[string]bool{info.Cluster.Leader: true}
	for _, replica := range info.Cluster.Replicas {
		pending[replica.Name] = true
	}
	for range consumerTries {
		if len(pending) == 0 {
			break
		}
		found, err := r.readServer(ctx, pending, to, pause)
		if err != nil {
			return nil, nil, err
		}
		gaps = append(gaps, found...)
	}
	for server := range pending {
		unread = append(unread, server)
	}
	return gaps, unread, nil
}

// readServer creates a consumer with one replica, which reads the copy of the server that hosts it. If the server is pending,
// readServer reads it and removes it from pending.
func (r *Reader) readServer(ctx context.Context, pending map[string]bool, to uint64, pause time.Duration) ([]ServerGap, error) {
	consumer, err := r.js.CreateConsumer(ctx, events.StreamShop, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy,
		DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: true, InactiveThreshold: time.Minute, MemoryStorage: true, Replicas: 1})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", events.StreamShop, err)
	}
	defer r.deleteConsumer(ctx, events.StreamShop, consumer)
	info := consumer.CachedInfo()
	if info.Cluster == nil || !pending[info.Cluster.Leader] {
		return nil, nil
	}
	server := info.Cluster.Leader
	delete(pending, server)
	var gaps []ServerGap
	next := uint64(1)
	before := func(sequence uint64) {
		if sequence > next {
			gaps = append(gaps, ServerGap{Server: server, From: next, To: sequence - 1})
		}
		next = sequence + 1
	}
	if info.NumPending > 0 {
		_, err = r.readConsumer(ctx, consumer, to, func(m Message) error {
			before(m.Sequence)
			if m.Sequence%progressEvery == 0 && pause > 0 && !worker.Sleep(ctx, pause) {
				return ctx.Err()
			}
			return nil
		})
	}
	if err != nil && !errors.Is(err, eventlog.ErrStalled) { // a server that delivers nothing more lacks the rest
		return nil, fmt.Errorf("read %s on %s after sequence %d: %w", events.StreamShop, server, next-1, err)
	}
	before(to + 1)
	return gaps, nil
}
