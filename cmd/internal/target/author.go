package target

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// ErrNotAllowed is returned for a change that the API key of a tool does not allow.
var ErrNotAllowed = errors.New("not allowed")

// Author returns the author of what a tool appends to the log: the API key that the tool has, on this machine. permission is what
// the change needs. The accounts and keys are read from the log, because the broker does not know them. It returns
// [ErrNotAllowed].
func (s Shop) Author(ctx context.Context, reader *replay.Reader, permission api.Permission, reason string) (events.Author, error) {
	if s.OpsKey == "" {
		return events.Author{}, fmt.Errorf("%w: this needs an API key with the permission %s: pass --ops-key or set OPS_KEY; an admin makes one with ops keys add", ErrNotAllowed, permission)
	}
	directory := staff.NewDirectory(reader.Log())
	if err := directory.Load(ctx); err != nil {
		return events.Author{}, err
	}
	principal, ok := directory.Staff("Bearer " + s.OpsKey)
	switch {
	case !ok:
		return events.Author{}, fmt.Errorf("%w: the API key of --ops-key is unknown, revoked or has expired; ops keys list shows the valid ones, ops keys add makes one", ErrNotAllowed)
	case !principal.May(permission):
		return events.Author{}, fmt.Errorf("%w: %s does not have the permission %s; an admin makes a key that has it with ops keys add --permissions", ErrNotAllowed, principal.Actor, permission)
	}
	if err := directory.RecordUses(ctx); err != nil {
		reader.Log().Logger().Warn("last use of the API key not recorded", "error", err) // the change itself is recorded
	}
	via, err := Via()
	return events.Author{Actor: principal.Actor, Reason: reason, Via: via}, err
}

// Via returns from where a tool changes the shop: "ops" and the name of this machine.
func Via() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name of this machine, for the audit: %w", err)
	}
	return "ops " + host, nil
}
