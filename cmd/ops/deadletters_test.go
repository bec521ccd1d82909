package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"tillstream/events"
)

func TestDeadLettersAreListedShownAndVerified(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	code, stdout, _ := ops(t, "deadletters", "--nats", b.url)
	if code != exitOK || stdout != "no open dead letters\n" {
		t.Errorf("list without dead letters: got exit code %d and %q", code, stdout)
	}
	code, stdout, stderr := ops(t, "verify", "--nats", b.url)
	if code != exitOK || !strings.Contains(stdout, "every promise is kept") || !strings.Contains(words(stdout), "the archive (pass --mongodb)") {
		t.Errorf("verify without dead letters: got exit code %d:\n%s%s", code, stdout, stderr)
	}
	var expected []string
	for i := range 3 {
		// The invariants ignore events of an unknown type.
		ack, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: "orders.x", Header: nats.Header{events.HeaderType: {"orders.blessed"}}, Data: []byte("gar\x1b[31mbage")})
		if err != nil {
			t.Fatal(err)
		}
		expected = append(expected, fmt.Sprintf("--expect-dead-letter=inventory:%d", ack.Sequence))
		b.publish(fmt.Sprint(i), fmt.Sprintf("deadletters.inventory.%d", ack.Sequence), "", "", events.DeadLettered{Worker: "inventory", Sequence: ack.Sequence,
			Subject: "orders.x", Type: "orders.blessed", Error: "bad payload", Fingerprint: "abc123"})
	}
	code, stdout, stderr = ops(t, "deadletters", "--limit", "2", "--nats", b.url)
	shown := age.ReplaceAllString(moment.ReplaceAllString(words(stdout), "T"), "A")
	if code != exitOK || !strings.Contains(shown, "3 abc123 inventory T T A bad payload") || !strings.Contains(shown, "3 T inventory abc123 3 orders.blessed on orders.x") ||
		strings.Contains(shown, "abc123 1 orders") || !strings.Contains(stderr, "1 older dead letter;") {
		t.Errorf("list: got exit code %d:\n%s%s", code, stdout, stderr)
	}
	code, stdout, _ = ops(t, "deadletters", "show", "2", "--nats", b.url)
	if code != exitOK || !strings.Contains(words(stdout), "lane inventory event 2 ") || !strings.Contains(stdout, "gar\\x1b[31mbage") {
		t.Errorf("show: got exit code %d and %q", code, stdout)
	}
	if code, _, stderr = ops(t, "deadletters", "show", "99", "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "no dead letter has the number 99") {
		t.Errorf("show 99: got exit code %d and %q", code, stderr)
	}
	if code, _, stderr = ops(t, "deadletters", "show", "0", "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "the number 0; ops deadletters list") {
		t.Errorf("show 0: got exit code %d and %q", code, stderr)
	}
	if code, stdout, _ = ops(t, "verify", "--nats", b.url); code != exitProblem || !strings.Contains(words(stdout), "inventory could not handle orders.x at sequence 1") {
		t.Errorf("verify: got exit code %d, want %d and the dead letter:\n%s", code, exitProblem, stdout)
	}
	var report struct {
		OK       bool
		Findings []any
	}
	code, stdout, _ = ops(t, append([]string{"verify", "--json", "--nats", b.url}, expected...)...)
	if err := json.Unmarshal([]byte(stdout), &report); code != exitOK || err != nil || !report.OK || report.Findings == nil {
		t.Errorf("verify with expected dead letters: got exit code %d, error %v:\n%s", code, err, stdout)
	}
}

func TestDeadLetterOfALostEventIsShown(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.publish("1", "deadletters.inventory.17", "", "", events.DeadLettered{Worker: "inventory", Sequence: 17, Subject: "orders.x", Error: "bad payload"})
	if code, stdout, stderr := ops(t, "deadletters", "show", "1", "--nats", b.url); code != exitOK || !strings.Contains(stdout, "the log has no event at 17") {
		t.Errorf("show: got exit code %d:\n%s%s", code, stdout, stderr)
	}
	if code, stdout, _ := ops(t, "deadletters", "show", "1", "--json", "--nats", b.url); code != exitOK || strings.Contains(stdout, `"event": {`) {
		t.Errorf("show --json: got exit code %d and\n%s\nwant no event", code, stdout)
	}
}
