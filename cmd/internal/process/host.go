// Package process is the life of a program: settings, logging, signals, the loops of a domain, health, and the order in
// which all of it stops.
package process

import (
	"context"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"

	"tillstream/events/log"
	"tillstream/events/view"
	"tillstream/events/worker"
)

// Domain is what every domain package offers.
type Domain interface {
	Register(api huma.API)
	Deciders() []worker.Decider
	Actors() []worker.Actor
	Sweeps() []worker.Sweep
	Views() []view.View
	// Run keeps what the domain holds in memory current, until ctx ends.
	Run(ctx context.Context) error
	// Ready returns what keeps the domain from serving; nil when nothing does.
	Ready() error
}

// Host runs the loops of one domain.
type Host struct {
	domain Domain
	log    *log.Log
	worker *worker.Worker
	views  []*view.Rememberer
}

// NewHost prepares a domain's loops. Nothing is read before Run. change, if any, has the last word on how views are kept.
func NewHost(domain Domain, l *log.Log, db *mongo.Database, registerer prometheus.Registerer, change ...func(*view.Config)) *Host {
	h := &Host{domain: domain, log: l, worker: worker.New(l, worker.Config{Deciders: domain.Deciders(), Actors: domain.Actors(),
		Sweeps: domain.Sweeps(), Registerer: registerer})}
	for _, v := range domain.Views() {
		config := view.Config{DB: db, Registerer: registerer}
		for _, c := range change {
			c(&config)
		}
		h.views = append(h.views, view.New(l, v, config))
	}
	return h
}

// lookBack is how long the archives may take to say how far the log once was.
const lookBack = 2 * time.Second

// CheckHistory returns [log.ErrWentBack] when the archives know more than the log. A database that does not answer keeps
// nobody from selling: its view looks again before it writes there.
func (h *Host) CheckHistory(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookBack)
	defer cancel()
	for _, v := range h.views {
		err := v.CheckHistory(ctx)
		if errors.Is(err, log.ErrWentBack) {
			return err
		}
		if err != nil {
			h.log.Logger().Warn("cannot tell yet whether the log is what it was", "error", err)
		}
	}
	return nil
}

// Run works until ctx ends and everything that had begun is finished.
func (h *Host) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.domain.Run(ctx) })
	group.Go(func() error { return h.worker.Run(ctx) })
	group.Go(func() error { return h.log.Watch(ctx) })
	for _, v := range h.views {
		group.Go(func() error { return v.Run(ctx) })
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Vital is what keeps the domain from working.
func (h *Host) Vital() error { return errors.Join(h.domain.Ready(), h.worker.Ready()) }

// Degraded is what keeps its views from catching up, and what operators have paused.
func (h *Host) Degraded() error {
	problems := []error{h.worker.Degraded()}
	for _, v := range h.views {
		problems = append(problems, v.Ready())
	}
	return errors.Join(problems...)
}
