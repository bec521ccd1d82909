package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events/log"
)

// How long a cluster that is up may take to give a consumer a home before that counts as a failure: it may be choosing
// leaders, or have six streams to place at the same time.
const (
	openPatience = time.Minute
	openAgain    = 250 * time.Millisecond
)

func ensurePatiently(ctx context.Context, l *log.Log, config Config) (jetstream.Consumer, error) {
	deadline := time.Now().Add(openPatience)
	for {
		consumer, err := ensure(ctx, l, config)
		if err == nil || !log.IsPassing(err) || time.Now().After(deadline) {
			return consumer, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("open consumer %s: %w", config.Name, ctx.Err())
		case <-time.After(openAgain):
		}
	}
}

func ensure(ctx context.Context, l *log.Log, config Config) (jetstream.Consumer, error) {
	stream, err := l.Stream(config.Stream)
	if err != nil {
		return nil, fmt.Errorf("open consumer %s: %w", config.Name, err)
	}
	wanted := config.Consumer(l.Replicas())
	consumer, err := stream.Consumer(ctx, config.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = stream.CreateConsumer(ctx, wanted)
		if errors.Is(err, jetstream.ErrConsumerExists) {
			consumer, err = stream.Consumer(ctx, config.Name) // another replica created it in between
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open consumer %s: %w", config.Name, err)
	}
	actual := consumer.CachedInfo().Config
	if diff := log.Drift(comparable(wanted), comparable(actual), "metadata", "name", "pause_until"); diff != "" {
		return nil, fmt.Errorf("%w: consumer %s on %s: %s", log.ErrDrift, config.Name, config.Stream, diff)
	}
	return consumer, nil
}

// comparable writes a single filter the way that the broker does: in the plural field.
func comparable(config jetstream.ConsumerConfig) jetstream.ConsumerConfig {
	if config.FilterSubject != "" {
		config.FilterSubjects, config.FilterSubject = []string{config.FilterSubject}, ""
	}
	return config
}
