package orders

import (
	"testing"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 60 of the fault matrix: while a process of an older release runs, a refund that the payment requests does not stop the orders of the
// shop. The order counts it when it is made.
func TestRefundsDoNotStopTheLaneDuringAnUpgrade(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	older := logtest.OpenOn(t, server, func(c *eventlog.Config) {
		topology := eventlog.CurrentTopology(1)
		topology.Version--
		c.Topology = &topology
	})
	newer := logtest.OpenOn(t, server)
	const id = "0b7f1f0e-53c5-4a5e-a6fb-5f2b2f7d9a10"
	do := func(decide func(tx *eventlog.Tx) error) Order {
		t.Helper()
		if err := newer.Do(t.Context(), decide); err != nil {
			t.Fatal(err)
		}
		o, _, err := Orders.Read(t.Context(), newer, id)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	requested := events.PaymentRefundRequested{OrderID: id, RefundID: "r1", Amount: gbp(350)}
	do(func(tx *eventlog.Tx) error { return Orders.Append(tx, id, paid()...) })
	if o := do(func(tx *eventlog.Tx) error { return refundStarted(tx, requested) }); len(o.Refunds) != 0 {
		t.Errorf("beside an older release: got %v, want no refund yet", o.Refunds)
	}
	made := func(tx *eventlog.Tx) error {
		return decide(tx, id, func(o Order) []events.Payload { return o.PaymentRefunded("r1", gbp(350)) })
	}
	if o := do(made); o.Refundable() != gbp(4000) {
		t.Errorf("when the refund is made: got %s left, want 40.00 GBP", o.Refundable())
	}
	older.Close()
}
