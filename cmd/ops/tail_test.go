package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTailShowsOnlyTheChosenEvents(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	b.rejectedOrder("o2")
	tail := func(args ...string) (types []string) {
		t.Helper()
		code, stdout, stderr := ops(t, append([]string{"tail", "--since", "1h", "--json", "--nats", b.url}, args...)...)
		if code != exitOK {
			t.Fatal(stderr)
		}
		for line := range strings.Lines(stdout) {
			var e struct{ Type, Subject string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			types = append(types, e.Subject+" "+e.Type)
		}
		return types
	}
	if diff := cmp.Diff([]string{"orders.o1 orders.placed", "orders.o1 orders.rejected", "orders.o2 orders.placed"}, tail("--domain", "orders", "--count", "3")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"orders.o2 orders.rejected"}, tail("--order", "o2", "--type", "orders.rej*", "--count", "1")); diff != "" {
		t.Error(diff)
	}
	code, stdout, _ := ops(t, "tail", "--since", "1h", "--count", "1", "--domain", "inventory", "--nats", b.url)
	if code != exitOK || !strings.Contains(words(stdout), "nothing held: MUG (2 requested, 1 available)") {
		t.Errorf("got exit code %d and %q, want the refused reservation", code, stdout)
	}
}

// A tail without --since begins at the end of the log and shows what is appended later.
func TestTailFollowsNewEvents(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("old")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := &signalWriter{text: "following", reached: make(chan struct{})}
	var out bytes.Buffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"tail", "--count", "1", "--domain", "orders", "--nats", b.url}, &terminal{out: &out, err: started})
	}()
	<-started.reached
	b.rejectedOrder("new")
	if code := <-done; code != exitOK || !strings.Contains(out.String(), "orders.new") {
		t.Errorf("got exit code %d and %q, want the new order", code, out.String())
	}
}

// signalWriter closes a channel when a text is written.
type signalWriter struct {
	text    string
	reached chan struct{}
}

func (w *signalWriter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.text) {
		close(w.reached)
	}
	return len(p), nil
}
