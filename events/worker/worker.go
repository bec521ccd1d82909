package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tillstream/events/crash"
	"tillstream/events/log"
)

// Sweep is a periodic guarantee behind something prompt.
type Sweep struct {
	Every time.Duration
	Name  string
	Run   func(ctx context.Context) error
}

// Config is what one worker does.
type Config struct {
	Actors     []Actor
	Deciders   []Decider
	Grace      time.Duration         // how long work that has begun may take after the stop; default 20 s
	Registerer prometheus.Registerer // default: none
	Sweeps     []Sweep
}

// Worker runs the loops of a domain.
type Worker struct {
	log    *log.Log
	config Config
	loops  []loop
	health []*health
}

type loop interface {
	run(ctx, work context.Context) error
}

// New prepares a worker. Nothing is read before Run.
func New(l *log.Log, config Config) *Worker {
	if config.Grace == 0 {
		config.Grace = 20 * time.Second
	}
	w := &Worker{log: l, config: config}
	for _, d := range config.Deciders {
		w.loops = append(w.loops, newDecideLoop(l, d, w.watch(d.Name)))
	}
	for _, a := range config.Actors {
		w.loops = append(w.loops, newActLoop(l, a, w.watch(a.Name)))
	}
	return w
}

func (w *Worker) watch(name string) *health {
	h := newHealth(name, w.config.Registerer)
	w.health = append(w.health, h)
	return h
}

// Run works until ctx ends, then finishes what has begun, and returns nil. It returns an error when a consumer cannot be
// opened or has drifted.
func (w *Worker) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(w.config.Grace, cancel) })
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range w.loops {
		group.Go(func() error {
			if err := l.run(ctx, work); ctx.Err() == nil {
				return err
			}
			return nil // what it was asked to stop amid, such as the opening of its consumer, did not fail
		})
	}
	for _, s := range w.config.Sweeps {
		group.Go(func() error { return w.sweep(ctx, s) })
	}
	return group.Wait()
}

func (w *Worker) sweep(ctx context.Context, s Sweep) error {
	for Pause(ctx, s.Every) {
		crash.In(s.Name, "sweep.begun")
		if err := s.Run(ctx); err != nil && ctx.Err() == nil {
			w.log.Logger().Warn("sweep", "name", s.Name, "error", err)
		}
		crash.In(s.Name, "sweep.done")
	}
	return nil
}

// Ready returns nil when every loop has its consumer and none is waiting for the log; else what is wrong.
func (w *Worker) Ready() error {
	var problems []error
	for _, h := range w.health {
		if err := h.problem(); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", h.name, err))
		}
	}
	return errors.Join(problems...)
}

// Degraded says which loops operators have paused; nil when none is. The others work on.
func (w *Worker) Degraded() error {
	var paused []error
	for _, h := range w.health {
		if err := h.paused(); err != nil {
			paused = append(paused, fmt.Errorf("%s: %w", h.name, err))
		}
	}
	return errors.Join(paused...)
}
