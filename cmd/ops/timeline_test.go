package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

var moment = regexp.MustCompile(`\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{3} UTC|\.\d{3}| UTC)?|\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} \S+|\+\d+\.\d{3}s|\d{4}-\d{2}-\d{2} \d{2}:\d{2}`)

// age matches the age of a cause.
var age = regexp.MustCompile(`\d+ (s|min)\b`)

func TestTimelineShowsCausesBeforeEffects(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	for _, name := range []string{"o1", "8F3K2-MQD7A", "8f3k2-mqd7a"} {
		code, stdout, stderr := ops(t, "timeline", name, "--nats", b.url)
		shown := words(moment.ReplaceAllString(stdout, "T"))
		if code != exitOK || !strings.HasPrefix(shown, "order o1, from T # TIME CAUSE SEQ EVENT 1 ") {
			t.Fatalf("timeline %s: got exit code %d and\n%s%s", name, code, stdout, stderr)
		}
		for _, want := range []string{"1 T 1 orders.placed 8F3K2-MQD7A: 2 × MUG for 12.50 GBP, to be paid by 00:00:00 ",
			" 2 T ← 1 2 inventory.reservation_refused nothing held: MUG (2 requested, 1 available) ",
			" 3 T ← 2 3 orders.rejected because out_of_stock: MUG (2 requested, 1 available)"} {
			if !strings.Contains(shown, want) {
				t.Errorf("timeline %s: got\n%s\nwant %q", name, stdout, want)
			}
		}
	}
	code, stdout, _ := ops(t, "timeline", "o1", "--json", "--nats", b.url)
	var history struct {
		OrderID string `json:"order_id"`
		Entries []struct {
			Cause   int
			Type    string
			Payload map[string]any
		}
	}
	if err := json.Unmarshal([]byte(stdout), &history); code != exitOK || err != nil || len(history.Entries) != 3 ||
		history.Entries[2].Cause != 2 || history.Entries[0].Payload["number"] != "8F3K2-MQD7A" {
		t.Errorf("timeline --json: got exit code %d, error %v:\n%s", code, err, stdout)
	}
	for _, name := range []string{"missing", "a.b"} {
		if code, _, stderr := ops(t, "timeline", name, "--nats", b.url); code != exitFailed || !strings.Contains(stderr, name) {
			t.Errorf("timeline %s: got exit code %d and %q, want %d and the name", name, code, stderr, exitFailed)
		}
	}
}
