package payments

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"tillstream/events"
)

// Row 40 of the fault matrix: staff see an authorization that ends within 24 hours, in a metric and in the list.
func TestStaffSeeAuthorizationsThatEndSoon(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{capture: events.CaptureAtFulfilment})
	orderID, _ := f.authorize(1250)
	f.placeOrder(700)
	expiring := func() (listed []ListedPayment) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.shopURL+"/ops/api/payments?expiring=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer staff")
		var body ListBody
		if status := f.do(request, &body); status != http.StatusOK {
			t.Fatalf("list: got HTTP %d, want 200", status)
		}
		return body.Payments
	}
	if got := expiring(); len(got) != 0 || f.gauge("tillstream_payments_authorizations_expiring") != 0 {
		t.Errorf("six days before the end: got %v, want none", got)
	}
	f.clockOffset.Store(int64(6*24*time.Hour + time.Hour))
	f.waitUntil("the metric counts it", func() bool { return f.gauge("tillstream_payments_authorizations_expiring") == 1 })
	if got := expiring(); len(got) != 1 || got[0].OrderID != orderID || got[0].CaptureBefore == nil {
		data, err := json.Marshal(got)
		t.Errorf("on the last day: got %s, %v; want order %s with its deadline", data, err, orderID)
	}
}

// gauge returns the value of a gauge.
func (f *fixture) gauge(name string) float64 {
	f.t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	f.t.Fatalf("metrics: got no %s", name)
	return 0
}
