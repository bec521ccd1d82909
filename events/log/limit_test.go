package log_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 15 of the fault matrix: a stream that is as large as an operator lets it be takes nothing more and says so, whole
// transactions at a time. It drops nothing old, the refusals are counted, and a higher limit is all it takes.
func TestAStreamThatIsFullRefusesAndForgetsNothing(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	l := logtest.Open(t, func(c *log.Config) { c.Registerer = registry })
	const limit = 10
	limitTo(t, l, limit)
	for i := range limit - 1 {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, fmt.Sprintf("item-%d", i), 1) }); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	both := func(tx *log.Tx) error { return errors.Join(add(tx, "a", 1), add(tx, "b", 1)) }
	if err := l.Do(t.Context(), both); !errors.Is(err, log.ErrUnavailable) {
		t.Errorf("two facts where one fits: %v, want ErrUnavailable", err)
	}
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "last", 1) }); err != nil {
		t.Errorf("one fact where one fits: %v", err)
	}
	err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "item-0", 1) })
	if !errors.Is(err, log.ErrUnavailable) || !strings.Contains(err.Error(), "maximum messages exceeded") {
		t.Errorf("a fact that does not fit: %v, want ErrUnavailable and why", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s to be told no", took)
	}
	if n := refusals(t, registry); n != 2 {
		t.Errorf("%v refusals counted, want 2", n)
	}
	if n := messages(t, l, events.StreamShop); n != limit {
		t.Errorf("%d facts in the stream, want %d", n, limit)
	}
	if got, _, err := tallies.Read(t.Context(), l, "item-0"); err != nil || got.Events != 1 {
		t.Errorf("the oldest is %+v, %v", got, err)
	}
	limitTo(t, l, 2*limit)
	if err := l.Do(t.Context(), both); err != nil {
		t.Errorf("with more room: %v", err)
	}
}

func limitTo(t *testing.T, l *log.Log, messages int64) {
	t.Helper()
	s, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	config.MaxMsgs = messages
	var updated jetstream.Stream
	if updated, err = l.JetStream().UpdateStream(t.Context(), config); err != nil || updated.CachedInfo().Config.MaxMsgs != messages {
		t.Fatalf("limit the stream: %v", err)
	}
}

func refusals(t *testing.T, registry *prometheus.Registry) (n float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "tillstream_log_refused_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			n += m.GetCounter().GetValue()
		}
	}
	return n
}
