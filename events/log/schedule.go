package log

import (
	"fmt"
	"time"

	"tillstream/events"
)

// How long a fired timer stays in its stream for workers that were away. The periodic sweep covers what is older.
const firedTTL = "168h"

// Schedule has the broker publish a fact on the subject PrefixTimerFired + target at a time. name identifies the timer:
// setting it again replaces it, so repeating is harmless. It may fire up to a second early, twice, late, or never; who
// hears it must look at the deadline itself.
func Schedule(tx *Tx, name string, at time.Time, target string, fact events.Payload) error {
	for _, id := range []string{name, target} {
		if err := events.CheckID(id); err != nil {
			return fmt.Errorf("schedule: %w", err)
		}
	}
	return tx.note(events.StreamTimers, events.PrefixTimer+name, fact,
		"Nats-Schedule", "@at "+at.UTC().Format(time.RFC3339),
		"Nats-Schedule-Target", events.PrefixTimerFired+target,
		"Nats-Schedule-TTL", firedTTL)
}
