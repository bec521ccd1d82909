package worker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 67 of the fault matrix: an event that names an impossible id, or an entity that cannot be read, is a dead letter at once. It
// is no failure of the destination, so many of them do not open the circuit.
func TestEventsWithoutAnEntityDoNotOpenTheCircuit(t *testing.T) {
	t.Parallel()
	const bad = 30
	l := logtest.Open(t)
	var handled ids
	route := worker.Do(func(_ context.Context, _ events.Event, p events.OrderPlaced) error {
		switch {
		case strings.HasPrefix(p.OrderID, "id"):
			return fmt.Errorf("read order: %w", events.ErrBadID)
		case strings.HasPrefix(p.OrderID, "history"):
			return fmt.Errorf("read order: %w", eventlog.ErrUnreadable)
		}
		handled.add(p.OrderID)
		return nil
	})
	placeMany(t, l, "id", bad)
	placeMany(t, l, "history", bad)
	place(t, l, "good")
	p := start(t, l, worker.Config{Domains: []worker.Domain{{Name: "orders", Log: l, Actors: []worker.Actor{{Name: "orders.mail", Routes: []worker.ActRoute{route}}}}}})
	p.caughtUp(t, "orders.mail")
	if got := handled.all(); len(got) != 1 {
		t.Errorf("handled: got %v, want the good order", got)
	}
	p.stop()
	letters, named := deadLettered(t, l)
	if len(named) != 2*bad || letters >= 2*bad {
		t.Errorf("got %d dead letters about %d events, want fewer about %d", letters, len(named), 2*bad)
	}
}
