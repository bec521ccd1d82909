package payments

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
)

// A decline counts by what its decline code says, else by its code. Whatever Stripe writes there, no new time series appears.
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
			t.Errorf("%s: %v, want 1", want, after[want])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d series, want %d as before", len(after), len(before))
	}
}

// gathered is what a registry counts, by kind and reason.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := "captured"
			if labels := m.GetLabel(); len(labels) > 0 {
				name = labels[0].GetValue() + " " + labels[1].GetValue()
			}
			values[name] = m.GetCounter().GetValue()
		}
	}
	return values
}
