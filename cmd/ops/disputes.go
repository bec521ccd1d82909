package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/cmd/internal/target"
	"tillstream/events/replay"
	"tillstream/payments"
)

// unanswered returns the disputes for whose evidence a bank waits, as one problem. Without the address of the staff API and a key for it
// they are not known, and if the API does not answer, the reason is a problem of its own already.
func unanswered(ctx context.Context, flags target.Target) []replay.Problem {
	api, err := newStaffAPI(flags)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var list payments.ListBody
	if err := api.call(ctx, http.MethodGet, "/ops/api/payments?dispute=open&limit=200", nil, &list); err != nil {
		return nil
	}
	count, first := 0, time.Time{}
	for _, p := range list.Payments {
		for _, d := range p.Disputes {
			if !d.Unanswered() {
				continue
			}
			count++
			if !d.EvidenceDue.IsZero() && (first.IsZero() || d.EvidenceDue.Before(first)) {
				first = d.EvidenceDue
			}
		}
	}
	if count == 0 {
		return nil
	}
	text := output.Count(count, "dispute") + " to be answered"
	if !first.IsZero() {
		text += fmt.Sprintf(", the first by %s", first.UTC().Format(time.DateOnly))
	}
	return []replay.Problem{{Code: "disputes_open", Text: text, Command: "ops payments --dispute open"}}
}
