package worker_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// counter reads the metric of a name that has one series.
func counter(t testing.TB, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) == 1 {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// What is parked is counted once, also when the event is delivered again.
func TestParkedEventsAreCounted(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "good1", "refuse1", "panic1", "good2")
	for _, want := range []float64{2, 0} {
		registry := prometheus.NewRegistry()
		stop := start(t, l, worker.Config{Deciders: []worker.Decider{marker("marker")}, Registerer: registry})
		caughtUp(t, l, events.StreamOrders, "marker")
		stop()
		if n := counter(t, registry, "tillstream_worker_parked_total"); n != want {
			t.Errorf("%v counted as parked, want %v", n, want)
		}
		if err := l.JetStream().DeleteConsumer(t.Context(), events.StreamOrders, "marker"); err != nil {
			t.Fatal(err)
		}
	}
}
