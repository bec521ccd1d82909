package log

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell how the group commit is doing: how many facts share one fsync, and how long one takes.
type metrics struct {
	facts    *prometheus.CounterVec
	batch    *prometheus.HistogramVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		facts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tillstream_log_facts_total", Help: "Facts handed to the broker, by stream."}, []string{"stream"}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tillstream_log_batch_facts", Help: "Facts per atomic batch.", Buckets: prometheus.ExponentialBuckets(1, 2, 11)}, []string{"stream"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tillstream_log_commit_seconds", Help: "Time from publish to durable.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}, []string{"stream"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tillstream_log_refused_total", Help: "Appends that the broker had no room for, or gave no answer to, by stream."}, []string{"stream"}),
	}
	if registerer != nil {
		registerer.MustRegister(m.facts, m.batch, m.duration, m.refused)
	}
	return m
}

func (m *metrics) observe(stream string, g *group, took time.Duration) {
	m.facts.WithLabelValues(stream).Add(float64(g.messages))
	m.batch.WithLabelValues(stream).Observe(float64(g.messages))
	m.duration.WithLabelValues(stream).Observe(took.Seconds())
}
