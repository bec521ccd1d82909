package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// Each command that changes something leaves an event that says who, why and from where.
func TestEveryChangeIsInTheAudit(t *testing.T) {
	t.Parallel()
	b, _, uri := projected(t)
	b.deadLetter("orders", 1)
	try := trying(t, "--nats", b.url, "--mongodb", uri)
	dir := filepath.Join(t.TempDir(), "today")
	for _, c := range []struct{ line, kind, summary string }{
		{"pause orders.projection", "ops.lane_paused", "orders.projection paused until it is resumed"},
		{"resume orders.projection", "ops.lane_resumed", "orders.projection resumed"},
		{"void 1 --force", "ops.event_voided", "event 1 on orders.o1 is void: because"},
		{"deadletters redrive --all --wait 0s", "ops.redelivery_requested", "orders is to handle 1 event again: because"},
		{"deadletters discard 1", "worker.discarded", "orders will not handle 1: because"},
		{"rebuild orders", "ops.action_recorded", "rebuild orders: 0 documents and indexes written"},
		{"backup " + dir, "ops.action_recorded", "backup " + dir + ": "},
		{"topology --apply", "ops.action_recorded", "topology --apply: the broker is set up for topology"},
		{"repair --yes", "ops.action_recorded", "repair: nothing is lost"},
	} {
		code := exitOK
		if strings.Contains(c.line, "redrive") {
			code = exitProblem // no process runs the lane
		}
		try(c.line+" --reason because", code, "")
		newest := newestAction(t, b.url)
		if newest.Type != c.kind || !strings.HasPrefix(newest.Summary, c.summary) || !events.IsStaff(newest.Actor) || newest.Reason != "because" || !strings.HasPrefix(newest.Via, "ops ") {
			t.Errorf("after ops %s: got %+v, want %s %q of staff with reason and origin", c.line, newest, c.kind, c.summary)
		}
	}
	empty := logtest.Server(t)
	_, db := database(t)
	trying(t, "--nats", empty.URL(), "--mongodb", db)("restore "+dir+" --reason because", exitOK, "restored")
	if newest := newestAction(t, empty.URL()); !strings.HasPrefix(newest.Summary, "restore "+dir) || newest.Reason != "because" {
		t.Errorf("after ops restore: got %+v, want the restore", newest)
	}
}

// A command that changes nothing leaves no event.
func TestDryRunsAreNotInTheAudit(t *testing.T) {
	t.Parallel()
	b, _, uri := projected(t)
	try := trying(t, "--nats", b.url, "--mongodb", uri)
	try("rebuild orders --dry-run", exitOK, "ok")
	try("repair", exitOK, "complete")
	try("topology", exitOK, "everything")
	if all := audited(t, b.url); len(all) > 0 {
		t.Errorf("got %+v, want no action", all)
	}
	try("audit", exitOK, "staff did nothing that matches")
}

func TestAuditSelectsAndPages(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	try := trying(t, "--nats", b.url)
	for _, lane := range []string{"orders", "inventory", "payments"} {
		if err := worker.PauseLane(t.Context(), b.log.ForDomain("ops"), lane, replay.UntilResumed, events.Author{Actor: "staff:mira", Reason: "stock count", Via: "ops here"}); err != nil {
			t.Fatal(err)
		}
	}
	try("audit", exitOK, "orders paused until it is resumed; why: stock count (ops here)")
	try("audit --entity inventory", exitOK, "inventory paused")
	try("audit --type ops.x*", exitOK, "nothing that matches")
	try("audit --since 1h --until 1m", exitOK, "nothing that matches")
	try("audit --since tomorrow", exitFailed, "is not a time")
	try("audit --before 7", exitFailed, "not a place")
	try("audit --limit 1", exitOK, "payments paused", "older actions: --before")
	var answer struct{ Next string }
	_, stdout, _ := ops(t, "audit", "--limit", "1", "--json", "--nats", b.url)
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || answer.Next == "" {
		t.Fatalf("got %q, %v; want the next place", stdout, err)
	}
	if second := newestAction(t, b.url, "--before", answer.Next); second.Subject != "ops.lanes.inventory" {
		t.Errorf("second page: got %+v, want the pause of inventory", second)
	}
}

// newestAction returns the first action that ops audit lists, and fails the test if there is none.
func newestAction(t *testing.T, nats string, flags ...string) replay.Action {
	t.Helper()
	actions := audited(t, nats, append(flags, "--limit", "1")...)
	if len(actions) != 1 {
		t.Fatalf("ops audit %s: got %d actions, want 1", strings.Join(flags, " "), len(actions))
	}
	return actions[0]
}

// audited returns the actions that ops audit lists.
func audited(t *testing.T, nats string, flags ...string) []replay.Action {
	t.Helper()
	code, stdout, stderr := ops(t, append([]string{"audit", "--json", "--nats", nats}, flags...)...)
	var answer struct{ Actions []replay.Action }
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != exitOK {
		t.Fatalf("ops audit: got exit code %d, %v:\n%s%s", code, err, stdout, stderr)
	}
	return answer.Actions
}
