package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

func TestTopologyApplyAddsWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.admit()
	code, stdout, stderr := ops(t, "topology", "--nats", b.url)
	if code != exitOK || !strings.Contains(stdout, "test") || !strings.Contains(stdout, "the broker has everything that this release needs") {
		t.Fatalf("got exit code %d, want %d:\n%s%s", code, exitOK, stdout, stderr)
	}
	stream, err := b.js.Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects = slices.DeleteFunc(config.Subjects, func(s string) bool { return s == "customers.*" }) // as in an earlier release
	if _, err := b.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ = ops(t, "topology", "--nats", b.url)
	if code != exitProblem || !strings.Contains(stdout, "lacks subject customers.*") {
		t.Errorf("got exit code %d, want %d and the missing subject:\n%s", code, exitProblem, stdout)
	}
	code, stdout, stderr = ops(t, "topology", "--apply", "--json", "--nats", b.url)
	var answer struct {
		Known, Applied, Written int
		Processes               []eventlog.Process
		Differences             []eventlog.Difference
	}
	if err := json.Unmarshal([]byte(stdout), &answer); err != nil || code != exitOK {
		t.Fatalf("apply: got exit code %d, error %v:\n%s%s", code, err, stdout, stderr)
	}
	if answer.Known != events.Topology || answer.Applied != events.Topology || len(answer.Processes) != 1 || answer.Processes[0].Source != "test" || len(answer.Differences) < 4 {
		t.Errorf("apply: got %+v", answer)
	}
	if stream, err = b.js.Stream(t.Context(), events.StreamShop); err != nil || !slices.Contains(stream.CachedInfo().Config.Subjects, "customers.*") {
		t.Errorf("after apply: got no subject customers.*, error %v", err)
	}
}

// A setting that no release made is named and not removed. Other commands work meanwhile.
func TestTopologyNamesSettingsThatDiffer(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.admit()
	stream, err := b.js.Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Subjects = append(config.Subjects, "hand.made")
	if _, err := b.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{"topology": exitProblem, "topology --apply": exitFailed, "lag": exitOK} {
		code, stdout, stderr := ops(t, append(strings.Fields(args), "--nats", b.url)...)
		if code != want || (code != exitOK) != strings.Contains(stdout+stderr, "subjects has hand.made, want it removed") {
			t.Errorf("ops %s: got exit code %d, want %d:\n%s%s", args, code, want, stdout, stderr)
		}
	}
}
