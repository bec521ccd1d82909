package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/crash"
	"tillstream/events/internal/feed"
	"tillstream/events/log"
)

// Actor is a durable consumer whose events make something happen in the world. All replicas share its messages.
type Actor struct {
	AckWait     time.Duration // how long a claim lasts without a sign of life; default 30 s
	Concurrency int           // acts at a time; default 8
	Filter      []string      // subjects of Source; default all
	Name        string        // of the durable consumer
	Routes      []ActRoute
	Source      string // stream
}

type actLoop struct {
	Actor
	log    *log.Log
	health *health
	routes map[string]func(context.Context, events.Event) error
}

func newActLoop(l *log.Log, a Actor, h *health) *actLoop {
	if a.AckWait == 0 {
		a.AckWait = 30 * time.Second
	}
	if a.Concurrency == 0 {
		a.Concurrency = 8
	}
	routes := make(map[string]func(context.Context, events.Event) error, len(a.Routes))
	for _, r := range a.Routes {
		routes[r.eventType] = r.handle
	}
	return &actLoop{Actor: a, log: l, health: h, routes: routes}
}

func (a *actLoop) config() feed.Config {
	return feed.Config{Name: a.Name, Stream: a.Source, Filter: a.Filter, AckWait: a.AckWait, MaxAckPending: 5000, Prefetch: a.Concurrency}
}

// run acts until ctx ends; acts that have begun are finished on their own context. The feed is closed before they are
// waited for: a replica that is on its way out takes nothing that another could begin with.
func (a *actLoop) run(ctx, work context.Context) error {
	f, err := feed.Open(ctx, a.log, a.config())
	if err != nil {
		return err
	}
	a.health.started(f)
	var running sync.WaitGroup
	defer running.Wait()
	defer f.Close()
	for {
		batch := f.Take(ctx, 1) // no more than Concurrency that are not released
		if batch == nil {
			return nil
		}
		e, handle, found, err := open(a.routes, batch[0], a.Source)
		if err == nil && !found {
			a.settle(work, batch[0], nil)
			f.Release(1)
			continue
		}
		running.Go(func() {
			defer f.Release(1)
			if err == nil {
				crash.In(a.Name, "act.begun")
				err = a.act(work, batch[0], e, handle)
			} else {
				err = Park(err)
			}
			crash.In(a.Name, "act.done")
			a.settle(work, batch[0], err)
			crash.In(a.Name, "act.acked")
		})
	}
}

// act runs the handler and tells the broker meanwhile that it is alive.
func (a *actLoop) act(ctx context.Context, m delivery, e events.Event, handle func(context.Context, events.Event) error) error {
	done := make(chan struct{})
	defer close(done)
	go func() {
		ticker := time.NewTicker(a.AckWait / 3)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				if err := m.InProgress(); err != nil && !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
					a.log.Logger().Warn("sign of life", "worker", a.Name, "error", err)
				}
			}
		}
	}()
	return safely(func() error { return handle(context.WithValue(ctx, attemptKey{}, m.Attempt), e) })
}

type attemptKey struct{}

// Attempt is which delivery of the event an act handles, from 1.
func Attempt(ctx context.Context) int {
	attempt, _ := ctx.Value(attemptKey{}).(int)
	return max(attempt, 1)
}

// settle acknowledges, has it delivered again later, or parks it.
func (a *actLoop) settle(ctx context.Context, m delivery, err error) {
	if err != nil {
		delay, toPark := next(err, m.Attempt, rand.Float64())
		if toPark {
			if parkErr := park(ctx, a.log, a.health, a.Source, m, err); parkErr != nil {
				toPark, delay = false, calendar[0]
				err = parkErr
			}
		}
		if !toPark {
			a.log.Logger().Warn("act will be repeated", "worker", a.Name, "sequence", m.Sequence, "attempt", m.Attempt, "after", delay, "error", err)
			a.health.failures.Inc()
			if err := m.NakWithDelay(delay); err != nil {
				a.log.Logger().Warn("put off", "worker", a.Name, "sequence", m.Sequence, "error", err)
			}
			return
		}
	}
	if err := m.Ack(); err != nil {
		a.log.Logger().Warn("acknowledge", "worker", a.Name, "sequence", m.Sequence, "error", err)
	}
}
