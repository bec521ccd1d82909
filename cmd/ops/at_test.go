package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/orders"
)

func TestAtAndDiffShowAnEntityAtAMoment(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	b.publish("m1", events.PrefixStock+"MUG%2F1", "", "", events.StockAdjusted{Reason: "received", StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "MUG/1",
		Quantity: 5, After: events.StockLevel{OnHand: 5, Available: 5}}})
	for _, step := range []struct {
		args string
		code int
		want string // of stdout and stderr, as words
	}{
		{"at o1 1", exitOK, "order o1 at sequence 1,"},
		{"at 8f3k2-mqd7a 1", exitOK, " status placed"},
		{"at orders.o1 now", exitOK, " status rejected"},
		{"at order:8F3K2-MQD7A 3", exitOK, " status rejected"},
		{"at reservation:o1 1", exitOK, "it did not exist yet"},
		{"at reservation:o1 2", exitOK, " state refused"},
		{"at MUG/1 4", exitOK, "stock MUG/1 at sequence 4, T event 1 of it, at sequence 4, T FIELD VALUE available 5 held 0 on_hand 5 sku MUG/1"},
		{"at o1 -0.000000001s", exitOK, " status rejected"},
		{"at o1 5", exitFailed, "the last one is 4"},
		{"at o1 2999-01-01", exitFailed, "in the future"},
		{"at o1 2020-01-01", exitFailed, "the log begins at"},
		{"at o1 soon", exitFailed, "want a sequence, a time"},
		{"at o2 1", exitFailed, "KIND:ID with one of order, payment, stock"},
		{"diff o1 1 3", exitOK, "FIELD BEFORE AFTER"},
		{"diff o1 1 3", exitOK, " status placed rejected SEQ STORED EVENT 3 T orders.rejected because out_of_stock"},
		{"diff o1 1", exitOK, " status placed rejected"},
		{"diff o1 3 now", exitOK, "nothing changed"},
	} {
		code, stdout, stderr := ops(t, append(strings.Fields(step.args), "--nats", b.url)...)
		if shown := moment.ReplaceAllString(words(stdout+stderr), "T"); code != step.code || !strings.Contains(shown, step.want) {
			t.Errorf("ops %s: got exit code %d, want %d and %q:\n%s%s", step.args, code, step.code, step.want, stdout, stderr)
		}
	}
	b.unreadable("o1")
	if code, stdout, _ := ops(t, "at", "o1", "now", "--nats", b.url); code != exitProblem || !strings.Contains(words(stdout), "status rejected") || !strings.Contains(stdout, "not readable") {
		t.Errorf("at of an unreadable order: got exit code %d and\n%s", code, stdout)
	}
	code, stdout, _ := ops(t, "diff", "o1", "1", "3", "--json", "--nats", b.url)
	var diff struct {
		Before, After replay.EntityState
		Changes       []replay.Change
		Events        []struct{ Sequence uint64 }
	}
	if err := json.Unmarshal([]byte(stdout), &diff); code != exitOK || err != nil || len(diff.Events) != 1 || len(diff.Changes) == 0 || diff.Before.At.Sequence != 1 {
		t.Errorf("diff --json: got exit code %d, error %v:\n%s", code, err, stdout)
	}
}

// The state of the shop at a sequence is the same after further events, and nothing is overwritten.
func TestAtAllWritesTheStateOfTheShop(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	for _, dir := range dirs {
		code, stdout, stderr := ops(t, "at", "--all", "3", "--out", dir, "--nats", b.url)
		if code != exitOK || !strings.Contains(words(stdout), "orders.jsonl 1 0 ") || !strings.Contains(words(stdout), "the shop at sequence 3,") || stderr != "" {
			t.Fatalf("got exit code %d:\n%s%s", code, stdout, stderr)
		}
		b.rejectedOrder("o2")
	}
	entries, err := os.ReadDir(dirs[0])
	if err != nil || len(entries) != 10 {
		t.Fatalf("got files %v, error %v", entries, err)
	}
	live, _, err := orders.Orders.Read(t.Context(), b.log, "o1")
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(live)
	line, err2 := os.ReadFile(filepath.Join(dirs[1], "orders.jsonl"))
	if err != nil || err2 != nil || !strings.Contains(string(line), `"state":`+string(want)+"}") {
		t.Errorf("orders.jsonl: got %v, %v and\n%s\nwant the state of a live fold\n%s", err, err2, line, want)
	}
	for _, e := range entries {
		first, err1 := os.ReadFile(filepath.Join(dirs[0], e.Name()))
		second, err2 := os.ReadFile(filepath.Join(dirs[1], e.Name()))
		if err1 != nil || err2 != nil || string(first) != string(second) {
			t.Errorf("%s: got %v, %v and\n%s\nlater\n%s", e.Name(), err1, err2, first, second)
		}
	}
	if code, _, stderr := ops(t, "at", "--all", "3", "--out", dirs[0], "--nats", b.url); code != exitFailed || !strings.Contains(stderr, "name a new directory") {
		t.Errorf("a second time: got exit code %d and %q", code, stderr)
	}
}
