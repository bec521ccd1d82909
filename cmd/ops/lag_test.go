package main

import (
	"strings"
	"testing"

	"tillstream/events/log"
)

func TestLag(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	if code, stdout, _ := ops(t, "lag", "--nats", b.url); code != exitOK || !strings.Contains(stdout, "no lane") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	b.refused("o1")
	for _, c := range []log.Checkpoint{{Lane: "inventory", Position: 1}, {Lane: "orders.projection", Position: 2},
		{Lane: "notifications.mail", Position: 3, State: []byte(`[{"sequence":2,"attempt":4,"due":"2026-01-02T03:04:05Z"}]`),
			CircuitOpen: "on hold: the relay refuses the shop, which it says in words that take more than one line of a terminal"}} {
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
		t.Fatalf("exit %d: %s", code, stdout)
	}
	for i, want := range []string{"LANE KIND HOLDER POSITION LAG OPEN STATE", "inventory decide 1 2 0 free", "notifications.mail act 0197e3a0 3 0 1 on hold",
		"orders.projection project 2 1 0 free", "notifications.mail on hold: the relay refuses"} {
		if got := words(lines[i]); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	pauseAndResume(t, b)
	if code, stdout, _ := ops(t, "lag", "--json", "--nats", b.url); code != exitOK || !strings.Contains(words(stdout), `"open": [ { "sequence": 2, "attempt": 4,`) {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// pauseAndResume expects the lanes of TestLag.
func pauseAndResume(t *testing.T, b *broker) {
	t.Helper()
	for _, step := range []struct{ args, says, silent string }{
		{"pause views", "orders.projection project 2 2 0 paused", "inventory"},
		{"lag", "orders.projection project 2 2 0 paused", "inventory decide 1 3 0 paused"},
		{"pause inventory --for 1h", "inventory decide 1 4 0 paused inventory paused until", "orders.projection"},
		{"pause projections --json", `"paused": true`, "inventory"},
		{"resume projections inventory", "orders.projection project 2 6 0 free", "paused"},
	} {
		code, stdout, stderr := ops(t, append(strings.Fields(step.args), "--nats", b.url)...)
		shown := words(stdout)
		if code != exitOK || !strings.Contains(shown, step.says) || strings.Contains(shown, step.silent) {
			t.Errorf("ops %s: exit %d: %s%s", step.args, code, stdout, stderr)
		}
	}
	if code, _, stderr := ops(t, "pause", "view", "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "inventory, notifications.mail, orders.projection") {
		t.Errorf("unknown lane: exit %d: %s", code, stderr)
	}
}
