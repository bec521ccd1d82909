package main

import (
	"strings"
	"testing"

	eventlog "tillstream/events/log"
)

func TestLagShowsLanes(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	if code, stdout, _ := ops(t, "lag", "--nats", b.url); code != exitOK || !strings.Contains(stdout, "no lane") {
		t.Errorf("without lanes: got exit code %d and %q", code, stdout)
	}
	b.rejectedOrder("o1")
	for _, c := range []eventlog.Checkpoint{{Lane: "inventory", Position: 1}, {Lane: "orders.projection", Position: 2},
		{Lane: "notifications.mail", Position: 3, State: []byte(`[{"sequence":2,"attempt":4,"due":"2026-01-02T03:04:05Z"}]`),
			CircuitOpen: "circuit open: the relay refuses the shop, for a reason that takes more than one line of a terminal"}} {
		if err := b.log.SaveCheckpoint(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, err := b.log.Acquire(t.Context(), "notifications.mail", "0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10"); err != nil || !ok {
		t.Fatal(ok, err)
	}
	code, stdout, _ := ops(t, "lag", "--nats", b.url)
	lines := strings.Split(stdout, "\n")
	if code != exitOK || len(lines) < 6 {
		t.Fatalf("got exit code %d:\n%s", code, stdout)
	}
	for i, want := range []string{"LANE KIND PROCESS POSITION LAG OPEN STATE", "inventory decide 1 2 0 free", "notifications.mail act 0197e3a0 3 0 1 circuit open",
		"orders.projection project 2 1 0 free", "notifications.mail circuit open: the relay refuses"} {
		if got := words(lines[i]); !strings.HasPrefix(got, want) {
			t.Errorf("line %d: got %q, want %q", i, got, want)
		}
	}
	b.admit()
	pauseAndResume(t, b)
	if code, stdout, _ := ops(t, "lag", "--json", "--nats", b.url); code != exitOK || !strings.Contains(words(stdout), `"open": [ { "sequence": 2, "attempt": 4,`) {
		t.Errorf("lag --json: got exit code %d:\n%s", code, stdout)
	}
}

// pauseAndResume expects the lanes of TestLagShowsLanes.
func pauseAndResume(t *testing.T, b *broker) {
	t.Helper()
	for _, step := range []struct{ args, want, unwanted string }{
		{"pause views --reason x", "orders.projection project 2 3 0 paused", "inventory"},
		{"lag", "orders.projection project 2 3 0 paused", "inventory decide 1 4 0 paused"},
		{"pause inventory --for 1h --reason x", "inventory decide 1 5 0 paused inventory paused until", "orders.projection"},
		{"pause projections --json --reason x", `"paused": true`, "inventory"},
		{"resume projections inventory --reason x", "orders.projection project 2 7 0 free", "paused"},
	} {
		code, stdout, stderr := ops(t, append(strings.Fields(step.args), "--nats", b.url)...)
		shown := words(stdout)
		if code != exitOK || !strings.Contains(shown, step.want) || strings.Contains(shown, step.unwanted) {
			t.Errorf("ops %s: got exit code %d and\n%s%s\nwant %q", step.args, code, stdout, stderr, step.want)
		}
	}
	if code, _, stderr := ops(t, "pause", "view", "--reason", "x", "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "inventory, notifications.mail, orders.projection") {
		t.Errorf("unknown lane: got exit code %d and %q, want the names of the lanes", code, stderr)
	}
}
