package log

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics measure the group commit: how many events share one fsync, and how long a commit takes.
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
			Name: "tillstream_log_facts_total", Help: "Events sent to the broker."}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tillstream_log_batch_facts", Help: "Events per commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tillstream_log_commit_seconds", Help: "Time from publish to durable.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_log_refused_total", Help: "Appends that the broker had no room for or did not answer."}),
		read: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_log_deliveries_total", Help: "Messages that the broker delivered to readers of this process."}),
	}
	if registerer != nil {
		registerer.MustRegister(m.facts, m.batch, m.duration, m.refused, m.read)
	}
	return m
}

// registerMissing registers a gauge of how many events the log lacks.
func (m *metrics) registerMissing(registerer prometheus.Registerer, count func() float64) {
	if registerer != nil {
		registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tillstream_log_missing_events", Help: "Events that both the log and the archive lack. While there are any, this process appends nothing."}, count))
	}
}

func (m *metrics) observe(b *batch, took time.Duration) {
	m.facts.Add(float64(b.messages))
	m.batch.Observe(float64(b.messages))
	m.duration.Observe(took.Seconds())
}
