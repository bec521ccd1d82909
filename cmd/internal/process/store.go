package process

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events/log"
)

// storePatience is how long a scrape waits for the broker to say how full it is. It must be less than Prometheus waits.
const storePatience = 2 * time.Second

// store shows how full the broker's store is, as its account sees it: also where the broker runs on another machine, whose disk
// this process cannot look at. A broker that does not answer is not shown.
type store struct {
	log          *log.Log
	limit        func() int64 // of the whole broker, where this process runs it; nil: it does not
	used, limits *prometheus.Desc
}

func newStore(l *log.Log, limit func() int64) *store {
	return &store{log: l, limit: limit,
		used: prometheus.NewDesc("tillstream_store_bytes", "Bytes that the broker keeps for the shop's account, all copies together.", nil, nil),
		limits: prometheus.NewDesc("tillstream_store_limit_bytes",
			"Bytes that it may keep, all copies together; absent when the account has no limit.", nil, nil)}
}

// Describe implements prometheus.Collector.
func (s *store) Describe(to chan<- *prometheus.Desc) { to <- s.used; to <- s.limits }

// Collect implements prometheus.Collector: it asks the broker each time.
func (s *store) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), storePatience)
	defer cancel()
	info, err := s.log.JetStream().AccountInfo(ctx)
	if err != nil {
		s.log.Logger().Debug("ask how full the broker is", "error", err)
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
