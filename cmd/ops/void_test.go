package main

import (
	"strings"
	"testing"

	eventlog "tillstream/events/log"
)

func TestVoidDeclaresUnreadableEventsVoid(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	b.unreadable("o1")
	b.admit()
	for _, step := range []struct {
		args, want string
		code       int
	}{
		{"4", "--reason", exitFailed},
		{"4 --reason=", "--reason", exitFailed},
		{"99 --reason because", "the log has no event 99", exitFailed},
		{"1 --reason because", "void event 1: it is orders.placed on orders.o1; it can be read", exitFailed},
		{"4 --reason because --dry-run", "event 4 on orders.o1 would be void", exitOK},
		{"4 --reason because", "event 4 on orders.o1 is void", exitOK},
		{"4 --reason because", "event 4 on orders.o1 was void already", exitOK},
	} {
		code, stdout, stderr := ops(t, append(append([]string{"void"}, strings.Fields(step.args)...), "--nats", b.url)...)
		if code != step.code || !strings.Contains(stdout+stderr, step.want) {
			t.Errorf("ops void %s: got exit code %d, want %d and %q:\n%s%s", step.args, code, step.code, step.want, stdout, stderr)
		}
	}
	b.deadLetter("orders", 4)
	if code, stdout, _ := ops(t, "deadletters", "redrive", "--all", "--dry-run", "--nats", b.url); code != exitProblem || !strings.Contains(words(stdout), "event 4 was declared void") {
		t.Errorf("dry run of a redrive: got exit code %d, want %d and the void event:\n%s", code, exitProblem, stdout)
	}
	void, _, err := eventlog.Voids.Read(t.Context(), b.log, "4")
	if err != nil || void.Reason != "because" || void.Subject != "orders.o1" {
		t.Errorf("got void %+v, error %v", void, err)
	}
}
