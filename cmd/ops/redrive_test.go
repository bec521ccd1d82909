package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/events"
)

// dead opens the dead letter of an event in a lane.
func (b *broker) dead(lane string, sequence uint64) {
	b.t.Helper()
	b.say(fmt.Sprintf("%s-%d", lane, sequence), fmt.Sprintf("deadletters.%s.%d", lane, sequence), "", "",
		events.DeadLettered{Worker: lane, Sequence: sequence, Subject: "orders.o1", Type: "orders.placed", Error: "no rule", Fingerprint: "abc123", Attempt: 1})
}

// Whoever redrives or discards says which dead letters and why, before anything is looked up.
func TestRedriveAndDiscardUsage(t *testing.T) {
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
		"redrive one --reason x":                          "see ops --help",
		"list --state lost":                               "open",
		"redrive 1 --dry-run --nats nats://127.0.0.1:1":   "is it running?",
		"discard 1 --reason x --nats nats://127.0.0.1:1":  "is it running?",
		"redrive --all --reason x --nats nats://[::1]:1":  "is it running?",
		"redrive --reason x --dry-run --nats nats://h:1":  "--fingerprint CAUSE or by --all",
		"redrive --fingerprint f --nats nats://127.0.0.1": "pass --reason TEXT",
	} {
		code, _, stderr := ops(t, append([]string{"deadletters"}, strings.Fields(args)...)...)
		if code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("deadletters %s: exit %d: %s; want %q", args, code, stderr, want)
		}
	}
}

// A redrive of a lane that no process runs is asked for all the same, and says that it waits. Who asked and why is in the log.
func TestARedriveWaitsForAProcess(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.refused("o1")
	b.dead("inventory", 1)
	code, stdout, stderr := ops(t, "deadletters", "redrive", "1", "--reason", "mended in 1.4.2", "--nats", b.url)
	if code != exitOff || !strings.Contains(stderr, "inventory is run by no process: the request waits in the log") || !strings.Contains(words(stdout), "1 inventory 1 1 waiting: inventory is run by no process") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	code, stdout, _ = ops(t, "tail", "--domain", "ops", "--since", "1h", "--count", "1", "--json", "--nats", b.url)
	if code != exitOK || !strings.Contains(stdout, `"actor":"key:ops"`) || !strings.Contains(stdout, `"reason":"mended in 1.4.2"`) {
		t.Errorf("exit %d: %s", code, stdout)
	}
	var answer struct {
		DeadLetters []outcome `json:"dead_letters"`
	}
	code, stdout, _ = ops(t, "deadletters", "redrive", "--all", "--reason", "again", "--json", "--nats", b.url)
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != exitOff || len(answer.DeadLetters) != 1 || answer.DeadLetters[0].Outcome != "waiting" {
		t.Errorf("exit %d, %v: %s", code, err, stdout)
	}
}

// A dead letter is settled while its event still keeps the entity unavailable: that is said.
func TestADiscardedDeadLetterOfAnUnreadableEvent(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.refused("o1")
	msg, err := events.Encode(events.Event{ID: "broken", Source: "test", Time: time.Now(), Subject: "orders.o1", Revision: 3, Payload: events.OrderExpired{}})
	if err != nil {
		t.Fatal(err)
	}
	msg.Data = []byte("{")
	if _, err := b.js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	b.dead("orders", 4)
	b.dead("orders", 1)
	code, _, stderr := ops(t, "deadletters", "discard", "--all", "--reason", "not ours", "--nats", b.url)
	if code != exitOK || strings.Count(stderr, "still cannot be read") != 1 || !strings.Contains(stderr, "event 4 still cannot be read, so nothing is decided about orders.o1") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// A dry run says what a redrive would append and which acts would follow, or that nothing would, and changes nothing.
func TestADryRunOfARedrive(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.say("1", "inventory.stock.main.MUG", "", "", events.StockAdjusted{StockMovement: events.StockMovement{Location: "main", SKU: "MUG", Quantity: 5,
		After: events.StockLevel{OnHand: 5, Available: 5}}})
	b.say("2", "orders.o1", "o1", "", events.OrderPlaced{OrderID: "o1", Number: "8F3K2-MQD7A", Total: gbp(1250), Lines: []events.OrderLine{{SKU: "MUG", Quantity: 2}}})
	b.dead("inventory", 2)
	b.say("3", "orders.o2", "o2", "", events.OrderPlaced{OrderID: "o2"})
	b.dead("inventory", 3)
	before, err := b.log.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := ops(t, "deadletters", "redrive", "1", "--dry-run", "--nats", b.url)
	for _, want := range []string{"1 inventory would handle the event at 2 again:", "append inventory: inventory.stock_held on inventory.stock.main.MUG",
		"append orders: orders.awaiting_payment on orders.o1", "append payments: payments.requested on payments." + events.FirstPaymentID("o1"), "act payments.stripe: payments.requested on payments." + events.FirstPaymentID("o1")} {
		if !strings.Contains(words(stdout), want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if code != exitOK {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	var answer struct {
		DeadLetters []dryRunOf `json:"dead_letters"`
	}
	code, stdout, stderr = ops(t, "deadletters", "redrive", "--all", "--dry-run", "--json", "--nats", b.url)
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != exitOff || len(answer.DeadLetters) != 2 || len(answer.DeadLetters[1].Failures) != 1 {
		t.Errorf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	if after, err := b.log.End(t.Context(), 0); err != nil || after != before {
		t.Errorf("the log went from %d to %d: %v", before, after, err)
	}
}

// A discarded dead letter is not open any more: lists and verify leave it out, and who asks again is told who did it and why.
func TestADiscardedDeadLetterIsSettled(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.refused("o1")
	b.dead("inventory", 1)
	b.dead("payments", 1)
	code, stdout, _ := ops(t, "deadletters", "discard", "1", "--reason", "refunded by hand", "--nats", b.url)
	if code != exitOK || stdout != "1 dead letter discarded\n" {
		t.Errorf("exit %d: %s", code, stdout)
	}
	for _, command := range []string{"discard", "redrive"} {
		if code, _, stderr := ops(t, "deadletters", command, "1", "--reason", "x", "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "dead letter 1 was discarded by key:ops") {
			t.Errorf("%s again: exit %d: %s", command, code, stderr)
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
			t.Errorf("%s: %v, want %v", state, got, want)
		}
	}
	code, stdout, _ = ops(t, "deadletters", "show", "1", "--nats", b.url)
	if code != exitOK || !strings.Contains(words(stdout), "state discarded") || !strings.Contains(words(stdout), "inventory will not handle 1: refunded by hand (key:ops)") {
		t.Errorf("show: exit %d: %s", code, stdout)
	}
	if _, stdout, _ = ops(t, "verify", "--nats", b.url); strings.Contains(stdout, "inventory could not handle") || !strings.Contains(words(stdout), "payments could not handle") {
		t.Errorf("verify reports a discarded one, or not the open one: %s", stdout)
	}
	if code, stdout, _ = ops(t, "deadletters", "discard", "--all", "--reason", "x", "--nats", b.url); code != exitOK || stdout != "1 dead letter discarded\n" {
		t.Errorf("discard all: exit %d: %s", code, stdout)
	}
	for _, command := range []string{"redrive", "discard"} {
		if code, _, stderr := ops(t, "deadletters", command, "--all", "--reason", "x", "--nats", b.url); code != exitOK {
			t.Errorf("%s nothing: exit %d: %s", command, code, stderr)
		}
	}
}
