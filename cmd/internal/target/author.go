package target

import (
	"context"
	"fmt"
	"os"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// Author returns the author of what a tool appends to the log: the holder of the ops token, on this machine. permission is what
// the change needs.
func (s Shop) Author(_ context.Context, _ *replay.Reader, permission api.Permission, reason string) (events.Author, error) {
	host, err := os.Hostname()
	if err != nil {
		return events.Author{}, fmt.Errorf("name of this machine, for the audit of %s: %w", permission, err)
	}
	return events.Author{Actor: events.ActorOps, Reason: reason, Via: "ops " + host}, nil
}
