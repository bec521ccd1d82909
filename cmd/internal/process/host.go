// Package process is the life of a program: settings, logging, signals, the lanes of its domains, health, and the order in
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

	"tillstream/events/archive"
	"tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/worker"
)

// Domain is what every domain package offers.
type Domain interface {
	Register(api huma.API)
	Worker() worker.Domain
	Projections() []project.Projection
	// Ready returns what keeps the domain from serving; nil when nothing does.
	Ready() error
}

// background is a domain that keeps something besides its lanes, such as connections, until ctx ends.
type background interface {
	Run(ctx context.Context) error
}

// HostConfig is what a [Host] runs on.
type HostConfig struct {
	DB         *mongo.Database
	Holder     string                // in whose name leases are taken; see [worker.Config]
	Log        *log.Log              // of the process
	Registerer prometheus.Registerer // default: none
	StoreLimit func() int64          // bytes that the broker may keep, where this process runs it; default: the broker is asked
	Sync       func() error          // makes what was written to DB last; default: none
	Window     time.Duration         // how long projections and the archive gather; default theirs
}

// Host runs the lanes of the domains of one process, and offers to archive the log.
type Host struct {
	config  HostConfig
	domains []Domain
	worker  *worker.Worker
}

// NewHost prepares the lanes of domains. Nothing is read before Run. It returns [log.ErrTruncated] when the archive knows
// more than the log.
func NewHost(ctx context.Context, config HostConfig, domains ...Domain) (*Host, error) {
	h := &Host{config: config, domains: domains}
	if err := h.checkHistory(ctx); err != nil {
		return nil, err
	}
	w := worker.Config{Holder: config.Holder, Registerer: config.Registerer, Missing: archive.New(config.DB).Messages,
		Batches: []worker.Batch{archive.Batch(config.Log, archive.Config{DB: config.DB, Sync: config.Sync, Window: config.Window})}}
	for _, d := range domains {
		lanes := d.Worker()
		for _, p := range d.Projections() {
			lanes.Batches = append(lanes.Batches, p.Batch(lanes.Log, project.Config{DB: config.DB, Sync: config.Sync, Window: config.Window}))
		}
		w.Domains = append(w.Domains, lanes)
	}
	if config.Registerer != nil {
		config.Registerer.MustRegister(newStore(config.Log, config.StoreLimit))
	}
	var err error
	h.worker, err = worker.New(ctx, config.Log, w)
	return h, err
}

// lookBack is how long the archive may take to say how far the log once was.
const lookBack = 2 * time.Second

// checkHistory compares the log with its archive. A database that does not answer keeps nothing from selling: the archive's
// lane compares again before it writes.
func (h *Host) checkHistory(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookBack)
	defer cancel()
	err := archive.New(h.config.DB).CheckHistory(ctx, h.config.Log)
	if errors.Is(err, log.ErrTruncated) {
		return err
	}
	if err != nil {
		h.config.Log.Logger().Warn("the log cannot be compared with its archive yet", "error", err)
	}
	return nil
}

// Run works until ctx ends and everything that had begun is finished.
func (h *Host) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, d := range h.domains {
		if b, ok := d.(background); ok {
			group.Go(func() error { return b.Run(ctx) })
		}
	}
	group.Go(func() error { return h.worker.Run(ctx) })
	group.Go(func() error { return h.config.Log.Monitor(ctx) })
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Lanes returns how every lane of the process stands.
func (h *Host) Lanes() []worker.LaneStatus { return h.worker.Lanes() }

// Vital is what keeps the domains from working.
func (h *Host) Vital() error {
	problems := []error{h.worker.Ready()}
	for _, d := range h.domains {
		problems = append(problems, d.Ready())
	}
	return errors.Join(problems...)
}

// Degraded is what keeps projections from catching up, which lanes operators have paused, and which are on hold.
func (h *Host) Degraded() error { return h.worker.Degraded() }
