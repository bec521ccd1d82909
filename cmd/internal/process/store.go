package process

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	eventlog "tillstream/events/log"
)

// storeTimeout is how long a scrape waits for the broker. It must be shorter than Prometheus' scrape timeout.
const storeTimeout = 2 * time.Second

// storeCollector reports how many bytes the broker stores for the shop's account, and the limit. It asks the broker, which may
// run on another machine. While the broker does not answer, the metrics are absent.
type storeCollector struct {
	log          *eventlog.Log
	limit        func() int64 // of a broker in this process; nil for another broker
	used, limits *prometheus.Desc
}

func newStoreCollector(l *eventlog.Log, limit func() int64) *storeCollector {
	return &storeCollector{log: l, limit: limit,
		used: prometheus.NewDesc("tillstream_store_bytes", "Bytes that the broker stores for the shop's account, in all copies.", nil, nil),
		limits: prometheus.NewDesc("tillstream_store_limit_bytes",
			"Bytes that the broker may store for the shop's account, in all copies; absent without a limit.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (s *storeCollector) Describe(to chan<- *prometheus.Desc) { to <- s.used; to <- s.limits }

// Collect implements prometheus.Collector: each scrape asks the broker.
func (s *storeCollector) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	info, err := s.log.JetStream().AccountInfo(ctx)
	if err != nil {
		s.log.Logger().Debug("store size unavailable", "error", err)
		return
	}
	to <- prometheus.MustNewConstMetric(s.used, prometheus.GaugeValue, float64(info.Store))
	limit := info.Limits.MaxStore
	if limit <= 0 && s.limit != nil {
		limit = s.limit()
	}
	if limit > 0 {
		to <- prometheus.MustNewConstMetric(s.limits, prometheus.GaugeValue, float64(limit))
	}
}
