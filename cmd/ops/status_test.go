package main

import (
	"encoding/json"
	"strings"
	"testing"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// ops alone shows what is wrong before the commands, each with the command that helps.
func TestOpsAloneShowsProblemsFirst(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	code, stdout, stderr := ops(t, "--nats", b.url)
	if code != exitOK || !strings.HasPrefix(stdout, "well  no open dead letters") || !strings.Contains(stdout, "\nops verify ") || stderr != "" {
		t.Errorf("a shop in order: got exit code %d:\n%s%s", code, stdout, stderr)
	}
	b.rejectedOrder("o1")
	b.deadLetter("orders", 1)
	for _, lane := range []string{"payments", "inventory"} {
		if err := b.log.SaveCheckpoint(t.Context(), &eventlog.Checkpoint{Lane: lane, Position: 3}); err != nil {
			t.Fatal(err)
		}
	}
	if err := worker.PauseLane(t.Context(), b.log, "inventory", replay.UntilResumed, events.Author{Actor: "staff:ada", Reason: "count"}); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ = ops(t, "--nats", b.url)
	shown, commands, _ := strings.Cut(words(stdout), "COMMAND ")
	for _, want := range []string{"dead letters 1 open dead letter of orders, cause abc123", "no rule (ops deadletters show 1)", "lane paused inventory is paused; 1 event waiting (ops resume inventory --reason TEXT)",
		"lane free no process runs payments (ops lag)", "log 4 events"} {
		if !strings.Contains(shown, want) {
			t.Errorf("got\n%s\nwant %q", stdout, want)
		}
	}
	if code != exitProblem || !strings.Contains(commands, "ops deadletters ") {
		t.Errorf("got exit code %d and commands %q", code, commands)
	}
	var overview replay.Overview
	code, stdout, _ = ops(t, "status", "--json", "--nats", b.url)
	if err := json.Unmarshal([]byte(stdout), &overview); err != nil || code != exitProblem || len(overview.Problems) != 3 || overview.Problems[0].Command != "ops deadletters show 1" {
		t.Errorf("--json: got exit code %d, %v:\n%s", code, err, stdout)
	}
}

// The page names what is wrong with the order, and the command that helps.
func TestOrderPageShowsTheOrderAndWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	code, stdout, stderr := ops(t, "order", "8f3k2-mqd7a", "--nats", b.url)
	for _, want := range []string{"8F3K2-MQD7A rejected · unpaid · unfulfilled · 12.50 GBP", " 2 MUG ", "reason out_of_stock", "payment none was requested",
		"1 orders.placed", "3 orders.rejected because out_of_stock", "next ops timeline 8F3K2-MQD7A"} {
		if !strings.Contains(words(stdout), want) {
			t.Errorf("got\n%s\nwant %q", stdout, want)
		}
	}
	if code != exitOK || stderr != "" {
		t.Errorf("got exit code %d and %q", code, stderr)
	}
	b.deadLetter("orders", 1)
	code, stdout, _ = ops(t, "order", "o1", "--nats", b.url)
	if code != exitProblem || !strings.Contains(words(stdout), "problem orders.1 is an open dead letter") || !strings.Contains(stdout, "ops deadletters show 1") {
		t.Errorf("with a dead letter: got exit code %d and\n%s", code, stdout)
	}
	code, stdout, _ = ops(t, "deadletters", "show", "1", "--nats", b.url)
	for _, want := range []string{"order o1 before the event: it did not exist", "status (none) rejected", "next ops deadletters redrive 1 --dry-run"} {
		if code != exitOK || !strings.Contains(words(stdout), want) {
			t.Errorf("deadletters show: got exit code %d and\n%s\nwant %q", code, stdout, want)
		}
	}
	if code, stdout, _ := ops(t, "order", "o1", "--json", "--nats", b.url); code != exitProblem || !json.Valid([]byte(stdout)) {
		t.Errorf("--json: got exit code %d and\n%s", code, stdout)
	}
}
