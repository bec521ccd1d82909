package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillstream/events"
)

// The writer of the file may have been killed in the middle of a line.
func TestVerifyFindsMissingAcknowledgedOrders(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	file := filepath.Join(t.TempDir(), "acknowledged")
	if err := os.WriteFile(file, []byte("o1\n\nlost\nhalf-an-i"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ := ops(t, "verify", "--acknowledged", file, "--nats", b.url)
	if code != exitProblem || !strings.Contains(words(stdout), "order lost: was answered 201") || strings.Contains(stdout, "half") {
		t.Errorf("got exit code %d, want %d and the lost order only:\n%s", code, exitProblem, stdout)
	}
}

// With --settle 0s an unfinished order is a finding, even if it moved a moment ago.
func TestVerifyWithoutSettlingTimeReportsUnfinishedOrders(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.publish("1", events.PrefixPayment+"o1", "o1", "", events.PaymentRequested{OrderID: "o1", Amount: gbp(1250)})
	if code, stdout, _ := ops(t, "verify", "--wait", "0s", "--nats", b.url); code != exitOK || !strings.Contains(stdout, "1 on the way") {
		t.Errorf("settle 60s: got exit code %d, want %d and 1 order on the way:\n%s", code, exitOK, stdout)
	}
	if code, stdout, _ := ops(t, "verify", "--wait", "0s", "--settle", "0s", "--nats", b.url); code != exitProblem || !strings.Contains(words(stdout), "order o1: is not in the log") {
		t.Errorf("settle 0s: got exit code %d, want %d and the order:\n%s", code, exitProblem, stdout)
	}
}

// At an earlier moment, what went wrong later is not found, and what is not known of that moment is named.
func TestVerifyAtAMomentIgnoresLaterEvents(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	b.deadLetter("orders", 3)
	b.publish("late", events.PrefixStock+"MUG", "", "", events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG", Quantity: 1}})
	for at, want := range map[string]int{"3": exitOK, "4": exitProblem, "99": exitFailed} {
		code, stdout, stderr := ops(t, "verify", "--at", at, "--nats", b.url)
		if code != want || code != exitFailed && !strings.Contains(words(stdout), "not checked: Stripe, which tells only its present state") {
			t.Errorf("--at %s: got exit code %d, want %d:\n%s%s", at, code, want, stdout, stderr)
		}
	}
}
