package worker

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

var errStarting = errors.New("starting")

// health is what readiness and the metrics say about one loop.
type health struct {
	name string

	mu      sync.Mutex
	err     error
	pending func() uint64

	failures prometheus.Counter
}

func newHealth(name string, registerer prometheus.Registerer) *health {
	labels := prometheus.Labels{"worker": name}
	h := &health{name: name, err: errStarting, failures: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tillstream_worker_retries_total", Help: "Times a loop had to try again.", ConstLabels: labels})}
	if registerer != nil {
		registerer.MustRegister(h.failures, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tillstream_worker_pending_events", Help: "Events that wait for this worker.", ConstLabels: labels},
			func() float64 { return float64(h.backlog()) }))
	}
	return h
}

func (h *health) started(pending func() uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.pending = nil, pending
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

func (h *health) backlog() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pending == nil {
		return 0
	}
	return h.pending()
}
