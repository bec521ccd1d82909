package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tillstream/events"
)

// Selection and reason are checked before anything is looked up.
func TestRedriveAndDiscardNeedASelectionAndAReason(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"redrive --reason x":                              "--fingerprint CAUSE or by --all",
		"discard --reason x":                              "--fingerprint CAUSE or by --all",
		"redrive 1 --all --reason x":                      "--fingerprint CAUSE or by --all",
		"redrive 1 --fingerprint f --reason x":            "--fingerprint CAUSE or by --all",
		"redrive 1":                                       "pass --reason TEXT",
		"discard --all":                                   "pass --reason TEXT",
		"redrive 1 --reason= --nats nats://127.0.0.1:1":   "pass --reason TEXT",
		"redrive 1 --reason x --wait=-1s":                 "--wait -1s",
		"redrive one --reason x":                          "see ops deadletters redrive --help",
		"list --state lost":                               "open",
		"redrive 1 --dry-run --nats nats://127.0.0.1:1":   "is it running?",
		"discard 1 --reason x --nats nats://127.0.0.1:1":  "is it running?",
		"redrive --all --reason x --nats nats://[::1]:1":  "is it running?",
		"redrive --reason x --dry-run --nats nats://h:1":  "--fingerprint CAUSE or by --all",
		"redrive --fingerprint f --nats nats://127.0.0.1": "pass --reason TEXT",
	} {
		code, _, stderr := ops(t, append([]string{"deadletters"}, strings.Fields(args)...)...)
		if code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("deadletters %s: got exit code %d and %q, want %q", args, code, stderr, want)
		}
	}
}

// The request is stored with its actor and reason although no process runs the lane.
func TestRedriveWaitsForAProcess(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	b.deadLetter("inventory", 1)
	b.admit()
	code, stdout, stderr := ops(t, "deadletters", "redrive", "1", "--reason", "mended in 1.4.2", "--nats", b.url)
	if code != exitProblem || !strings.Contains(stderr, "inventory runs in no process: the request waits in the log") || !strings.Contains(words(stdout), "1 inventory 1 1 waiting: inventory runs in no process") {
		t.Errorf("got exit code %d:\n%s%s", code, stdout, stderr)
	}
	code, stdout, _ = ops(t, "tail", "--type", "ops.redelivery_requested", "--since", "1h", "--count", "1", "--json", "--nats", b.url)
	if code != exitOK || !strings.Contains(stdout, `"actor":"key:ops"`) || !strings.Contains(stdout, `"reason":"mended in 1.4.2"`) {
		t.Errorf("got exit code %d:\n%s", code, stdout)
	}
	var answer struct {
		DeadLetters []outcome `json:"dead_letters"`
	}
	code, stdout, _ = ops(t, "deadletters", "redrive", "--all", "--reason", "again", "--json", "--nats", b.url)
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != exitProblem || len(answer.DeadLetters) != 1 || answer.DeadLetters[0].Outcome != "waiting" {
		t.Errorf("got exit code %d, error %v:\n%s", code, err, stdout)
	}
}

func TestDiscardNamesEntitiesThatStayUnavailable(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	b.unreadable("o1")
	b.deadLetter("orders", 4)
	b.deadLetter("orders", 1)
	b.admit()
	code, _, stderr := ops(t, "deadletters", "discard", "--all", "--reason", "not ours", "--nats", b.url)
	if code != exitOK || strings.Count(stderr, "still cannot be read") != 1 || !strings.Contains(stderr, "event 4 still cannot be read, so orders.o1 stays unavailable") {
		t.Errorf("got exit code %d and %q", code, stderr)
	}
}

func TestRedriveDryRunNamesEffectsAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.publish("1", "inventory.stock.main.MUG", "", "", events.StockAdjusted{StockMovement: events.StockMovement{Location: "main", SKU: "MUG", Quantity: 5,
		After: events.StockLevel{OnHand: 5, Available: 5}}})
	b.publish("2", "orders.o1", "o1", "", events.OrderPlaced{OrderID: "o1", Number: "8F3K2-MQD7A", Total: gbp(1250), Lines: []events.OrderLine{{SKU: "MUG", Quantity: 2}}})
	b.deadLetter("inventory", 2)
	b.publish("3", "orders.o2", "o2", "", events.OrderPlaced{OrderID: "o2"})
	b.deadLetter("inventory", 3)
	before, err := b.log.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := ops(t, "deadletters", "redrive", "1", "--dry-run", "--nats", b.url)
	for _, want := range []string{"1 inventory would handle event 2 again:", "append inventory: inventory.stock_held on inventory.stock.main.MUG",
		"append orders: orders.awaiting_payment on orders.o1", "append payments: payments.requested on payments." + events.FirstPaymentID("o1"), "act payments.stripe: payments.requested on payments." + events.FirstPaymentID("o1")} {
		if !strings.Contains(words(stdout), want) {
			t.Errorf("dry run: got\n%s\nwant %q", stdout, want)
		}
	}
	if code != exitOK {
		t.Errorf("got exit code %d:\n%s%s", code, stdout, stderr)
	}
	var answer struct {
		DeadLetters []dryRunResult `json:"dead_letters"`
	}
	code, stdout, stderr = ops(t, "deadletters", "redrive", "--all", "--dry-run", "--json", "--nats", b.url)
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != exitProblem || len(answer.DeadLetters) != 2 || len(answer.DeadLetters[1].Failures) != 1 {
		t.Errorf("got exit code %d, error %v:\n%s%s", code, err, stdout, stderr)
	}
	if after, err := b.log.End(t.Context(), 0); err != nil || after != before {
		t.Errorf("got %d events in the log after a dry run, want %d; error %v", after, before, err)
	}
}

// Lists and verify leave a discarded dead letter out, and a later command is told who discarded it and why.
func TestDiscardedDeadLetterIsSettled(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	b.deadLetter("inventory", 1)
	b.deadLetter("payments", 1)
	b.admit()
	code, stdout, _ := ops(t, "deadletters", "discard", "1", "--reason", "refunded by hand", "--nats", b.url)
	if code != exitOK || stdout != "1 dead letter discarded\n" {
		t.Errorf("got exit code %d:\n%s", code, stdout)
	}
	for _, command := range []string{"discard", "redrive"} {
		if code, _, stderr := ops(t, "deadletters", command, "1", "--reason", "x", "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "dead letter 1 was discarded by key:ops") {
			t.Errorf("%s again: got exit code %d and %q", command, code, stderr)
		}
	}
	for state, want := range map[string][]string{"open": {"2"}, "discarded": {"1"}, "redriven": nil, "all": {"2", "1"}} {
		_, stdout, _ := ops(t, "deadletters", "list", "--state", state, "--json", "--nats", b.url)
		var answer struct {
			DeadLetters []struct{ Number int } `json:"dead_letters"`
		}
		if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range answer.DeadLetters {
			got = append(got, fmt.Sprint(d.Number))
		}
		if !slices.Equal(got, want) {
			t.Errorf("list --state %s: got %v, want %v", state, got, want)
		}
	}
	code, stdout, _ = ops(t, "deadletters", "show", "1", "--nats", b.url)
	if code != exitOK || !strings.Contains(words(stdout), "state discarded") || !strings.Contains(words(stdout), "inventory will not handle 1: refunded by hand (key:ops)") {
		t.Errorf("show: got exit code %d:\n%s", code, stdout)
	}
	if _, stdout, _ = ops(t, "verify", "--nats", b.url); strings.Contains(stdout, "inventory could not handle") || !strings.Contains(words(stdout), "payments could not handle") {
		t.Errorf("verify: got\n%s\nwant the open dead letter only", stdout)
	}
	if code, stdout, _ = ops(t, "deadletters", "discard", "--all", "--reason", "x", "--nats", b.url); code != exitOK || stdout != "1 dead letter discarded\n" {
		t.Errorf("discard --all: got exit code %d and %q", code, stdout)
	}
	for _, command := range []string{"redrive", "discard"} {
		if code, _, stderr := ops(t, "deadletters", command, "--all", "--reason", "x", "--nats", b.url); code != exitOK {
			t.Errorf("%s --all without open dead letters: got exit code %d and %q", command, code, stderr)
		}
	}
}
