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
	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/worker"
)

// Domain is a domain package's service.
type Domain interface {
	// Register adds the domain's routes to the API.
	Register(api huma.API)
	// Worker returns the domain's lanes, except those of its projections.
	Worker() worker.Domain
	// Projections returns the domain's projections, each of which has a lane.
	Projections() []project.Projection
	// Ready returns why the domain cannot serve; nil when it can.
	Ready() error
}

// background is a Domain that runs something besides its lanes until ctx ends.
type background interface {
	Run(ctx context.Context) error
}

// HostConfig configures a [Host].
type HostConfig struct {
	AuditEvery time.Duration // how often one process of the shop compares log and archive; default: never
	Checks     []Check       // of parts that the host does not know; default: none
	DB         *mongo.Database
	Holder     string                // name under which leases are taken; see [worker.Config]
	Log        *eventlog.Log         // log of the process
	Registerer prometheus.Registerer // default: none
	StoreLimit func() int64          // bytes that a broker in this process may store; default: the limit of the account
	Sync       func() error          // writes DB to disk; default: none
	Window     time.Duration         // how long projections and the archive collect a batch; default: that of each package
}

// Host runs the lanes of the domains of one process, their projections and the archive.
type Host struct {
	config    HostConfig
	domains   []Domain
	worker    *worker.Worker
	readiness *readiness
	auditor   *auditor
}

// NewHost prepares the lanes of domains. It reads no events before Run. It returns [eventlog.ErrTruncated] when the log lacks
// events that the archive has.
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
	h.auditor = newAuditor(config)
	if config.Registerer != nil {
		config.Registerer.MustRegister(newStoreCollector(config.Log, config.StoreLimit))
		config.Registerer.MustRegister(h.auditor.metrics()...)
	}
	var err error
	if h.worker, err = worker.New(ctx, config.Log, w); err != nil {
		return nil, err
	}
	h.readiness = newReadiness(h)
	return h, nil
}

// historyTimeout is how long the check of the archive at the start may take.
const historyTimeout = 2 * time.Second

// checkHistory compares the log with its archive. The process starts even if the database does not answer, because selling
// does not need the database; the archive's lane compares again before it writes.
func (h *Host) checkHistory(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	err := archive.New(h.config.DB).CheckHistory(ctx, h.config.Log)
	if errors.Is(err, eventlog.ErrTruncated) {
		return err
	}
	if err != nil {
		h.config.Log.Logger().Warn("archive not compared with log", "error", err)
	}
	return nil
}

// Run runs the lanes until ctx ends and all running handlers have finished.
func (h *Host) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, d := range h.domains {
		if b, ok := d.(background); ok {
			group.Go(func() error { return b.Run(ctx) })
		}
	}
	group.Go(func() error { return h.worker.Run(ctx) })
	group.Go(func() error { h.auditor.run(ctx); return nil })
	group.Go(func() error { return h.config.Log.Monitor(ctx) })
	group.Go(func() error { h.readiness.run(ctx); return nil })
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Follow is [worker.Worker.Follow]: it calls fn for every message of the log, which the broker delivers only once to the process.
func (h *Host) Follow(ctx context.Context, from uint64, fn func(eventlog.Message) error) error {
	return h.worker.Follow(ctx, from, fn)
}

// Lanes returns the status of every lane of the process.
func (h *Host) Lanes() []worker.LaneStatus { return h.worker.Lanes() }

// Conditions returns why the process is not ready or degraded. It returns at once.
func (h *Host) Conditions() []Condition { return h.readiness.conditions() }

// Vital returns the conditions under which the process cannot serve; nil when there are none. It returns at once.
func (h *Host) Vital() error { return h.readiness.problems(true) }

// Degraded returns the conditions that need attention although the process serves; nil when there are none. It returns at once.
func (h *Host) Degraded() error { return h.readiness.problems(false) }
