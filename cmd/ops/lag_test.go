package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

func TestLag(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	if code, stdout, _ := ops(t, "lag", "--nats", b.url); code != exitOK || !strings.Contains(stdout, "no worker") {
		t.Errorf("exit %d: %s", code, stdout)
	}
	for _, name := range []string{"inventory-orders", "orders-view"} {
		if _, err := b.js.CreateConsumer(t.Context(), events.StreamOrders, jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy,
			PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{"active"}, PinnedTTL: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	b.refused("o1")
	code, stdout, _ := ops(t, "lag", "--nats", b.url)
	lines := strings.Split(stdout, "\n")
	if code != exitOK || len(lines) != 4 {
		t.Fatalf("exit %d: %s", code, stdout)
	}
	for i, want := range []string{"ORDERS inventory-orders decide 2 0 0 no never", "ORDERS orders-view remember 2 0 0 no never"} {
		if got := strings.Join(strings.Fields(lines[1+i]), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	pauseAndResume(t, b)
	if code, stdout, _ := ops(t, "lag", "--json", "--nats", b.url); code != exitOK || !strings.Contains(stdout, `"pending": 2`) {
		t.Errorf("exit %d: %s", code, stdout)
	}
}

// pauseAndResume expects the consumers of TestLag.
func pauseAndResume(t *testing.T, b *broker) {
	t.Helper()
	for _, step := range []struct{ args, says, silent string }{
		{"pause views", "orders-view remember 2 0 0 paused never", "inventory-orders"},
		{"lag", "orders-view remember 2 0 0 paused never", "inventory-orders decide 2 0 0 paused"},
		{"pause inventory-orders --for 1h", "inventory-orders decide 2 0 0 paused until", "orders-view"},
		{"pause views --json", `"paused": "9999-01-01T00:00:00Z"`, "inventory-orders"},
		{"resume views inventory-orders", "orders-view remember 2 0 0 no never", "paused"},
	} {
		code, stdout, stderr := ops(t, append(strings.Fields(step.args), "--nats", b.url)...)
		shown := strings.Join(strings.Fields(stdout), " ")
		if code != exitOK || !strings.Contains(shown, step.says) || strings.Contains(shown, step.silent) {
			t.Errorf("ops %s: exit %d: %s%s", step.args, code, stdout, stderr)
		}
	}
	if code, _, stderr := ops(t, "pause", "view", "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "inventory-orders, orders-view") {
		t.Errorf("unknown worker: exit %d: %s", code, stderr)
	}
}
