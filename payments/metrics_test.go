package payments

import (
	"cmp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
)

// A decline is counted by its decline code, else by its code. An unknown code adds no time series.
func TestRefusalsAreCountedByClass(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := newMetrics(registry)
	before := gathered(t, registry)
	for _, fact := range []events.Payload{
		events.PaymentDeclined{Code: "card_declined", DeclineCode: "insufficient_funds"},
		events.PaymentDeclined{Code: "expired_card"},
		events.PaymentDeclined{Code: "card_declined", DeclineCode: "a code of next year"},
		events.PaymentFailed{Code: "amount_too_small"},
		events.PaymentFailed{},
		events.PaymentCaptured{},
		events.PaymentAuthorized{},
	} {
		m.count(events.Event{Payload: fact})
	}
	after := gathered(t, registry)
	for _, want := range []string{"captured", "declined funds", "declined card", "declined other", "failed amount", "failed other"} {
		if after[want] != 1 {
			t.Errorf("%s: got %v, want 1", want, after[want])
		}
	}
	if len(after) != len(before) {
		t.Errorf("time series: got %d, want %d", len(after), len(before))
	}
}

// gathered returns the counters of a registry by their label values: kind and reason, or the result of a webhook.
func gathered(t testing.TB, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := []string{}
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			name := cmp.Or(strings.Join(labels, " "), "captured")
			values[name] = m.GetCounter().GetValue()
		}
	}
	return values
}
