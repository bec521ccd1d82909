package log

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// snapshotInactive is how long the broker keeps the consumer of a snapshot that is not read; its default is five minutes.
const snapshotInactive = 10 * time.Second

// Snapshot calls fn for the newest message of every subject that matches a filter, in order. It returns the sequence up to
// which it has read the log: follow the log from the next one. A filled message (FillGap) takes its place in the order, unless
// the log has a newer one of its subject.
func (l *Log) Snapshot(ctx context.Context, filters []string, fn func(Message) error) (upTo uint64, err error) {
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, FilterSubjects: filters}
	newest, err := l.newestFilled(ctx, filters)
	if err != nil {
		return 0, err
	}
	return l.readToEnd(ctx, config, newest, func(m Message) error {
		if last := l.filled.on(m.Subject); len(last) > 0 && last[len(last)-1].Sequence > m.Sequence {
			return nil // the log has lost a newer message of the subject
		}
		return fn(m)
	})
}

// Since calls fn for every message that matches a filter and was stored at a time or later, in order, up to the sequence that it
// returns: following the log from the next one delivers each message once.
func (l *Log) Since(ctx context.Context, filters []string, stored time.Time, fn func(Message) error) (upTo uint64, err error) {
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &stored, FilterSubjects: filters}
	return l.readToEnd(ctx, config, l.filled.since(filters, stored), fn)
}

// readToEnd reads until a consumer has no more messages, and inserts filled ones. The end of the log is read before the consumer
// exists, so that no message is between the two.
func (l *Log) readToEnd(ctx context.Context, config jetstream.OrderedConsumerConfig, filled []*jetstream.RawStreamMsg, fn func(Message) error) (upTo uint64, err error) {
	if upTo, err = l.End(ctx, 0); err != nil {
		return 0, err
	}
	config.InactiveThreshold = snapshotInactive
	consumer, err := l.openConsumer(ctx, config)
	if err != nil {
		return 0, err
	}
	insert := func(before uint64) error {
		for len(filled) > 0 && filled[0].Sequence < before {
			if err := fn(l.messageFrom(filled[0])); err != nil {
				return err
			}
			filled = filled[1:]
		}
		return nil
	}
	if consumer.CachedInfo().NumPending > 0 {
		ctx, watchdog := NewWatchdog(ctx, StallTimeout)
		defer watchdog.Stop()
		err = l.consume(ctx, consumer, func(m Message, pending uint64) (bool, error) {
			if m.Sequence > upTo && config.DeliverPolicy == jetstream.DeliverByStartTimePolicy {
				return false, nil // stored since; of a subject with such a message, a snapshot has no other
			}
			return pending > 0, watchdog.Handle(func() error {
				if err := insert(m.Sequence); err != nil {
					return err
				}
				return fn(m)
			})
		})
	}
	if err == nil {
		err = insert(upTo + 1)
	}
	return upTo, err
}
