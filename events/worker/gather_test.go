package worker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// marking is a decider that marks each order, if the log lets it.
func marking(read func(id string) error) worker.Config {
	mark := func(tx *log.Tx, _ events.Event, p events.OrderPlaced) error {
		if err := read(p.OrderID); err != nil {
			return err
		}
		return markOnce(tx, p.OrderID)
	}
	return worker.Config{Deciders: []worker.Decider{{Name: "marker", Source: events.StreamOrders, Routes: []worker.Route{worker.On(mark)}}}}
}

// Row 13 of the fault matrix, for a worker with many events in hand: a broker that answers some questions, and then none
// for a while, must not have it begin with the first event again each time.
func TestWhatIsDecidedIsKeptWhenTheLogGoesAway(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	place(t, l, "a", "b", "c")
	var away atomic.Bool
	away.Store(true)
	start(t, l, marking(func(id string) error {
		if id == "c" && away.Load() {
			return log.ErrUnavailable
		}
		return nil
	}))
	expect(t, l, events.StreamInventory, "inventory.reservations.*", 2)
	away.Store(false)
	expect(t, l, events.StreamInventory, "inventory.reservations.*", 3)
}

// Row 13 of the fault matrix, for a worker on a cluster that takes long for each question: after a second the first events
// need not wait for the last.
func TestASlowLogMakesSmallTransactions(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, reader := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	place(t, l, "a", "b", "c", "d", "e", "f")
	start(t, l, marking(func(id string) error {
		<-time.After(400 * time.Millisecond)
		if id != "f" {
			return nil
		}
		if _, _, err := marks.Read(t.Context(), reader, "a"); err != nil {
			t.Errorf("the first event, two seconds later: %v", err)
		}
		return nil
	}))
	expect(t, l, events.StreamInventory, "inventory.reservations.*", 6)
}
