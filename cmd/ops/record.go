package main

import (
	"context"
	"fmt"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
	"tillstream/events/text"
)

// recorded has the flag of a command whose actions are recorded for the audit.
type recorded struct {
	Reason string `help:"Why; it is stored with the action, and ops audit shows it." placeholder:"TEXT"`
}

// author returns who carries out the command, or why they may not. It is asked before the action.
func (r recorded) author(ctx context.Context, shop target.Shop, reader *replay.Reader) (events.Author, error) {
	reason, err := text.Clean(r.Reason)
	if err == nil && len(reason) > events.MaxReason {
		err = fmt.Errorf("%d bytes, want at most %d", len(reason), events.MaxReason)
	}
	if err != nil {
		return events.Author{}, fmt.Errorf("--reason: %w", err)
	}
	return shop.Author(ctx, reader, api.RepairData, reason)
}

// record appends what was done, and why it ended if it failed. The action itself is done by then, so an append that fails, for
// example while a process of an older release runs, is only noted.
func record(ctx context.Context, reader *replay.Reader, author events.Author, out *terminal, action events.ActionRecorded, failed error) {
	if err := reader.RecordEnd(ctx, action, failed, author); err != nil {
		out.note("%s is not in the audit: %v", action.Action, err)
	}
}

// recordAfter is like record for an action that makes the log readable again: only then can it say who carries it out.
func (r recorded) recordAfter(ctx context.Context, shop target.Shop, reader *replay.Reader, out *terminal, action events.ActionRecorded) {
	author, err := r.author(ctx, shop, reader)
	if err != nil {
		out.note("%s is not in the audit: %v", action.Action, err)
		return
	}
	record(ctx, reader, author, out, action, nil)
}
