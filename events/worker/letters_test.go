package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// How many dead letters of a lane are open is known to every process that could run it: as they are opened, redriven, opened again
// and discarded, and after a restart.
func TestOpenDeadLettersAreCounted(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var s stubborn
	shows := func(registry *prometheus.Registry, want float64) {
		t.Helper()
		until(t, fmt.Sprintf("%v dead letters are shown as open", want), func() bool {
			return metric(t, registry, "tillstream_lane_open_dead_letters", "inventory") == want
		})
	}
	watched := func() *prometheus.Registry {
		registry := prometheus.NewRegistry()
		config := only(s.domain(l))
		config.Registerer = registry
		start(t, l, config)
		return registry
	}
	first := watched()
	shows(first, 0)
	place(t, l, "a", "b", "c")
	shows(first, 3)
	redeliver(t, l, "inventory", 1)
	outcomes(t, l, "inventory", 1, 2)
	shows(first, 3) // it failed again
	s.works.Store(true)
	redeliver(t, l, "inventory", 1)
	shows(first, 2)
	say(t, l, events.Event{Source: "ops", Subject: worker.DeadLetterSubject("inventory", 2),
		Payload: events.DeadLetterDiscarded{Worker: "inventory", Sequence: 2, Reason: "refunded"}})
	shows(first, 1)
	second := watched()
	shows(second, 1)
	redeliver(t, l, "inventory", 3)
	shows(first, 0)
	shows(second, 0)
}

// say publishes an event that no lane or operator would.
func say(t testing.TB, l *eventlog.Log, e events.Event) {
	t.Helper()
	e.ID, e.Time = e.Subject, time.Now()
	msg, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.JetStream().PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}
