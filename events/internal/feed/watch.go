package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrPaused is what a feed says of itself while operators have its consumer paused.
var ErrPaused = errors.New("paused")

// watchEvery is how often the broker is asked how a consumer stands. Deliveries carry the count of what waits behind
// them, but a consumer that is paused, or a loop that waits for a database, gets none.
const watchEvery = 2 * time.Second

// standing is what the broker said of a consumer when it was last asked.
type standing struct {
	behind uint64    // not delivered, or delivered and not acknowledged
	paused time.Time // until when; zero: it is not
}

// Pending is how many messages wait to be handled, here or at the broker.
func (f *Feed) Pending() uint64 { return f.standing.Load().behind }

// Paused returns [ErrPaused], with how long it will last, while operators have the consumer paused.
func (f *Feed) Paused() error {
	until := f.standing.Load().paused
	switch {
	case until.IsZero():
		return nil
	case time.Until(until) > 100*365*24*time.Hour:
		return fmt.Errorf("%w until somebody resumes it", ErrPaused)
	}
	return fmt.Errorf("%w until %s", ErrPaused, until.UTC().Format(time.RFC3339))
}

// watch keeps the standing current. A broker that does not answer changes nothing: who needs the consumer will say so.
func (f *Feed) watch(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		look, cancel := context.WithTimeout(ctx, watchEvery)
		consumer, err := f.log.JetStream().Consumer(look, f.config.Stream, f.config.Name)
		cancel()
		if err == nil {
			f.standing.Store(standingOf(consumer.CachedInfo()))
		}
	}
}

func standingOf(info *jetstream.ConsumerInfo) *standing {
	s := &standing{behind: info.NumPending + uint64(max(info.NumAckPending, 0))}
	if info.Paused && info.Config.PauseUntil != nil {
		s.paused = *info.Config.PauseUntil
	}
	return s
}
