package entities

import (
	"context"
	"errors"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// StatesMet returns the states that the event m of a dead letter met, and how they have changed up to now: of the entity of the event,
// and of the entity of the same order that the lane decides about.
func StatesMet(ctx context.Context, reader *replay.Reader, d replay.DeadLetter, m replay.Message, now time.Time) (states []replay.StateDiff, err error) {
	states = []replay.StateDiff{}
	end, err := reader.At(ctx, replay.Moment{Time: now})
	if errors.Is(err, replay.ErrNotFound) || err == nil && d.Sequence == 0 {
		return states, nil // the log has lost all, or no lane has written it
	}
	if err != nil {
		return nil, err
	}
	for _, e := range met(d, m) {
		before := replay.Moment{Sequence: d.Sequence - 1, Time: m.Stored}
		diff, err := reader.Diff(ctx, e.Kind, e.ID, before, end)
		if err != nil {
			return nil, err
		}
		states = append(states, diff)
	}
	return states, nil
}

// ofLane is, for each domain, the kind of entity about an order that its lanes decide about.
var ofLane = map[string]string{"orders": "order", "inventory": "reservation", "payments": "payment", "notifications": "notification"}

// met returns the entities that an event met.
func met(d replay.DeadLetter, m replay.Message) (found []Entity) {
	kinds := Kinds()
	if k, id, ok := replay.KindOn(kinds, d.Subject); ok {
		found = append(found, Entity{Kind: k, ID: id, Subject: d.Subject})
	}
	domain, _, _ := strings.Cut(d.Worker, ".")
	id := m.Header.Get(events.HeaderCorrelationID)
	for _, k := range kinds {
		if k.Name != ofLane[domain] || id == "" {
			continue
		}
		if k.Name == "payment" {
			id = events.FirstPaymentID(id)
		}
		if subject, err := k.Subject(id); err == nil && subject != d.Subject {
			found = append(found, Entity{Kind: k, ID: id, Subject: subject})
		}
	}
	return found
}
