package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/log"
)

func TestTopology(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	code, stdout, stderr := ops(t, "topology", "--nats", b.url)
	if code != exitOK || !strings.Contains(stdout, "test") || !strings.Contains(stdout, "the broker has all that this release wants") {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	stream, err := b.js.Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects = slices.DeleteFunc(config.Subjects, func(s string) bool { return s == "customers.*" }) // as a release before had it
	if _, err := b.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ = ops(t, "topology", "--nats", b.url)
	if code != exitOff || !strings.Contains(stdout, "lacks subject customers.*") {
		t.Errorf("exit %d, and it does not say what is missing:\n%s", code, stdout)
	}
	code, stdout, stderr = ops(t, "topology", "--apply", "--json", "--nats", b.url)
	var said struct {
		Known, Applied, Written int
		Processes               []log.Process
		Differences             []log.Difference
	}
	if err := json.Unmarshal([]byte(stdout), &said); err != nil || code != exitOK {
		t.Fatalf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if said.Known != events.Topology || said.Applied != events.Topology || len(said.Processes) != 1 || said.Processes[0].Source != "test" || len(said.Differences) < 4 {
		t.Errorf("said %+v", said)
	}
	if stream, err = b.js.Stream(t.Context(), events.StreamShop); err != nil || !slices.Contains(stream.CachedInfo().Config.Subjects, "customers.*") {
		t.Errorf("it was not added: %v", err)
	}
}

// What no release made is named, and neither taken away nor passed over in silence. Other commands work meanwhile.
func TestTopologyNamesWhatIsConfiguredOtherwise(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	stream, err := b.js.Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects = append(config.Subjects, "hand.made")
	if _, err := b.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{"topology": exitOff, "topology --apply": exitFailed, "lag": exitOK} {
		code, stdout, stderr := ops(t, append(strings.Fields(args), "--nats", b.url)...)
		if code != want || (code != exitOK) != strings.Contains(stdout+stderr, "subjects has hand.made, want it gone") {
			t.Errorf("ops %s: exit %d, want %d\n%s%s", args, code, want, stdout, stderr)
		}
	}
}

func TestVoid(t *testing.T) {
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
	for _, step := range []struct {
		args, says string
		code       int
	}{
		{"4", "--reason", exitFailed},
		{"4 --reason=", "--reason", exitFailed},
		{"99 --reason because", "the log has no event 99", exitFailed},
		{"1 --reason because", "event 1 is orders.placed on orders.o1, which can be read", exitFailed},
		{"4 --reason because --dry-run", "event 4 on orders.o1 would be void", exitOK},
		{"4 --reason because", "event 4 on orders.o1 is void", exitOK},
		{"4 --reason because", "event 4 on orders.o1 was void already", exitOK},
	} {
		code, stdout, stderr := ops(t, append(append([]string{"void"}, strings.Fields(step.args)...), "--nats", b.url)...)
		if code != step.code || !strings.Contains(stdout+stderr, step.says) {
			t.Errorf("ops void %s: exit %d, want %d and %q\n%s%s", step.args, code, step.code, step.says, stdout, stderr)
		}
	}
	b.dead("orders", 4)
	if code, stdout, _ := ops(t, "deadletters", "redrive", "--all", "--dry-run", "--nats", b.url); code != exitOff || !strings.Contains(words(stdout), "event 4 was declared void") {
		t.Errorf("a dry run: exit %d: %s", code, stdout)
	}
	void, _, err := log.Voids.Read(t.Context(), b.log, "4")
	if err != nil || void.Reason != "because" || void.Subject != "orders.o1" {
		t.Errorf("the log has %+v, %v", void, err)
	}
}
