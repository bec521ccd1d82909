package process_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/events"
	"tillstream/events/archive"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
)

// adjusted is an entity to which a test appends events.
var adjusted = eventlog.Entity[int]{Prefix: events.PrefixStock, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// Row 64 of the fault matrix: one of the processes compares log and archive on a schedule, and every process shows the result: in
// readiness and as a metric.
func TestCopiesAreComparedOnASchedule(t *testing.T) {
	t.Parallel()
	server, db := logtest.Server(t), projecttest.Database(t)
	ctx, cancel := context.WithCancel(t.Context())
	var hosts []*process.Host
	var registries []*prometheus.Registry
	done := make(chan error, 2)
	for range 2 {
		l, registry := logtest.OpenOn(t, server, func(c *eventlog.Config) { c.Source = "inventory" }), prometheus.NewRegistry()
		host, err := process.NewHost(ctx, process.HostConfig{AuditEvery: 100 * time.Millisecond, DB: db, Log: l, Registerer: registry,
			Window: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		go func() { done <- host.Run(ctx) }()
		hosts, registries = append(hosts, host), append(registries, registry)
	}
	l := logtest.OpenOn(t, server, func(c *eventlog.Config) { c.Source = "inventory" })
	for range 3 {
		err := l.Do(ctx, func(tx *eventlog.Tx) error {
			return adjusted.Append(tx, "A", events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "A"}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	audited := func(want uint64) func() bool {
		return func() bool {
			report, err := replay.LastAudit(ctx, l)
			return err == nil && report.Events == 3 && report.Differences == want
		}
	}
	proc.WaitFor(t, "the copies are equal", time.Minute, audited(0))
	first, err := replay.LastAudit(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Collection(archive.Collection).DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$ne", Value: "head"}}}}); err != nil {
		t.Fatal(err)
	}
	proc.WaitFor(t, "the copies differ", time.Minute, audited(3))
	for i, host := range hosts {
		proc.WaitFor(t, "the process is degraded", time.Minute, func() bool {
			err := host.Degraded()
			return err != nil && strings.Contains(err.Error(), "found 3 differences between log and archive")
		})
		if got := metric(t, registries[i], "tillstream_audit_differences"); got != 3 {
			t.Errorf("tillstream_audit_differences: got %v, want 3", got)
		}
		if got := metric(t, registries[i], "tillstream_audit_time_seconds"); got < float64(first.At.Unix()) {
			t.Errorf("tillstream_audit_time_seconds: got %v, want %d or later", got, first.At.Unix())
		}
	}
	cancel()
	for range hosts {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// metric returns the value of a gauge.
func metric(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
