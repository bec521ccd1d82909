package worker_test

import (
	"errors"
	"testing"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 20 of the fault matrix, for a decider that sums a batch up: the one event that cannot be summed up is parked, and
// the others are.
func TestAnEventThatCannotBeSummedUpIsParked(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"Error": func() error { return errors.New("one of them is impossible") },
		"Panic": func() error { panic("one of them is impossible") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := logtest.Open(t)
			place(t, l, "a", "bad", "b")
			var gathered []string
			start(t, l, worker.Config{Deciders: []worker.Decider{{Name: "summary", Source: events.StreamOrders,
				Routes: []worker.Route{worker.On(func(_ *log.Tx, _ events.Event, p events.OrderPlaced) error {
					gathered = append(gathered, p.OrderID)
					return nil
				})},
				Finish: func(tx *log.Tx) error {
					ids := gathered
					gathered = nil
					for _, id := range ids {
						if id == "bad" {
							return fail()
						}
						if err := markOnce(tx, id); err != nil {
							return err
						}
					}
					return nil
				}}}})
			for i, e := range expect(t, l, events.StreamInventory, "inventory.reservations.*", 2) {
				if want := "inventory.reservations." + []string{"a", "b"}[i]; e.Subject != want {
					t.Errorf("fact %d is about %s, want %s", i, e.Subject, want)
				}
			}
			parked := expect(t, l, events.StreamParked, "parked.summary", 1)[0].Payload.(events.EventParked)
			if parked.Subject != "orders.bad" {
				t.Errorf("parked %s because %q", parked.Subject, parked.Error)
			}
		})
	}
}
