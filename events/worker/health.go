package worker

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events/internal/feed"
)

var errStarting = errors.New("starting")

// health is what readiness and the metrics say about one loop.
type health struct {
	name string

	mu   sync.Mutex
	err  error
	feed *feed.Feed // nil: not open yet

	failures prometheus.Counter
	parked   prometheus.Counter
}

func newHealth(name string, registerer prometheus.Registerer) *health {
	labels := prometheus.Labels{"worker": name}
	h := &health{name: name, err: errStarting,
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_worker_retries_total", Help: "Times a loop had to try again.", ConstLabels: labels}),
		parked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_worker_parked_total", Help: "Events that a loop could not handle and set aside.", ConstLabels: labels})}
	if registerer != nil {
		registerer.MustRegister(h.failures, h.parked, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tillstream_worker_pending_events", Help: "Events that wait for this worker.", ConstLabels: labels},
			func() float64 { return float64(h.backlog()) }))
	}
	return h
}

func (h *health) started(f *feed.Feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.feed = nil, f
}

func (h *health) report(err error) {
	if err != nil {
		h.failures.Inc()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func (h *health) problem() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// paused says that operators have paused the loop; nil when they have not.
func (h *health) paused() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.feed == nil {
		return nil
	}
	return h.feed.Paused()
}

func (h *health) backlog() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.feed == nil {
		return 0
	}
	return h.feed.Pending()
}
