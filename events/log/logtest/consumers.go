package logtest

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// CaughtUp reports whether a consumer has handled everything that its stream holds for it. The broker counts what waits for
// a consumer a moment after it has acknowledged the append, so "nothing waits" alone may be said too soon; where the
// stream ends is known at once.
func CaughtUp(ctx context.Context, js jetstream.JetStream, info *jetstream.ConsumerInfo) (bool, error) {
	if info.NumPending > 0 || info.NumAckPending > 0 {
		return false, nil
	}
	stream, err := js.Stream(ctx, info.Stream)
	if err != nil {
		return false, err
	}
	last := stream.CachedInfo().State.LastSeq
	if filters := filtersOf(info.Config); len(filters) > 0 {
		last = 0
		for _, filter := range filters {
			msg, err := stream.GetLastMsgForSubject(ctx, filter)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				return false, err
			}
			last = max(last, msg.Sequence)
		}
	}
	return info.Delivered.Stream >= last, nil
}

func filtersOf(config jetstream.ConsumerConfig) []string {
	if config.FilterSubject != "" {
		return []string{config.FilterSubject}
	}
	return config.FilterSubjects
}
