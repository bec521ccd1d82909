package worker_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events/log/logtest"
)

// A dead letter is counted once, also when its event is read again.
func TestDeadLettersAreCounted(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "good1", "refuse1", "panic1", "good2")
	for _, want := range []float64{2, 0} {
		registry := prometheus.NewRegistry()
		config := only(marker(l))
		config.Registerer = registry
		p := start(t, l, config)
		p.caughtUp(t, "inventory")
		if n := metric(t, registry, "tillstream_lane_lag_events", "inventory"); n != 0 {
			t.Errorf("a lag of %v events, want 0", n)
		}
		p.stop()
		if n := metric(t, registry, "tillstream_lane_dead_letters_total", "inventory"); n != want {
			t.Errorf("%v dead letters counted, want %v", n, want)
		}
		forget(t, l, "inventory")
	}
}
