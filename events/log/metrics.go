package log

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell how the group commit is doing: how many facts share one fsync, and how long one takes.
type metrics struct {
	facts    prometheus.Counter
	batch    prometheus.Histogram
	duration prometheus.Histogram
	refused  prometheus.Counter
	read     prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		facts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_log_facts_total", Help: "Facts handed to the broker."}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tillstream_log_batch_facts", Help: "Facts per commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tillstream_log_commit_seconds", Help: "Time from publish to durable.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_log_refused_total", Help: "Appends that the broker had no room for, or gave no answer to."}),
		read: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_log_deliveries_total", Help: "Messages that the broker delivered to readers of this process."}),
	}
	if registerer != nil {
		registerer.MustRegister(m.facts, m.batch, m.duration, m.refused, m.read)
	}
	return m
}

// missing has the registry ask how many messages the log is found to lack.
func (m *metrics) missing(registerer prometheus.Registerer, count func() float64) {
	if registerer != nil {
		registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tillstream_log_missing_events", Help: "Events that the log lacks and the archive could not give; nothing is appended meanwhile."}, count))
	}
}

func (m *metrics) observe(b *batch, took time.Duration) {
	m.facts.Add(float64(b.messages))
	m.batch.Observe(float64(b.messages))
	m.duration.Observe(took.Seconds())
}
