package view

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// claimFor is how long the broker remembers a rebuild that was killed.
const claimFor = 30 * time.Second

// claim is what only one rebuild of a view has. Two would drop each other's side collections, and take the rest of them
// for all that the log says. It is a consumer that is handed nothing, and that the broker forgets when nobody asks it any
// more: there is no lock that a killed process could leave behind.
type claim struct {
	consumer jetstream.Consumer
	owner    string
	asking   jetstream.ConsumeContext
}

// takeClaim returns [ErrRebuilding] when somebody else has it. The caller releases it.
func takeClaim(ctx context.Context, js jetstream.JetStream, v View) (*claim, error) {
	c, never := &claim{owner: uuid.NewString()}, time.Date(9999, time.January, 1, 0, 0, 0, 0, time.UTC)
	var err error
	c.consumer, err = js.CreateConsumer(ctx, v.Stream, jetstream.ConsumerConfig{Name: v.Name + sideSuffix, Description: c.owner, PauseUntil: &never,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: claimFor, MemoryStorage: true})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return nil, fmt.Errorf("%w: %s", ErrRebuilding, v.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", v.Name, err)
	}
	if c.asking, err = c.consumer.Consume(func(jetstream.Msg) {}); err != nil {
		return nil, fmt.Errorf("claim %s: %w", v.Name, err)
	}
	return c, nil
}

// check returns [ErrRebuilding] when the broker was away for so long that somebody else may have begun.
func (c *claim) check(ctx context.Context) error {
	info, err := c.consumer.Info(ctx)
	if err == nil && info.Config.Description == c.owner {
		return nil
	}
	if err == nil || errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("%w: %s is not ours any more", ErrRebuilding, c.consumer.CachedInfo().Name)
	}
	return fmt.Errorf("claim %s: %w", c.consumer.CachedInfo().Name, err)
}

// release lets others rebuild.
func (c *claim) release(ctx context.Context, js jetstream.JetStream) error {
	c.asking.Stop()
	if err := c.check(ctx); err != nil {
		return err
	}
	info := c.consumer.CachedInfo()
	if err := js.DeleteConsumer(ctx, info.Stream, info.Name); err != nil {
		return fmt.Errorf("release %s (it ends by itself within %s): %w", info.Name, claimFor, err)
	}
	return nil
}
