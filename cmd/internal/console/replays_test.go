package console

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// Whoever requests a large replay cannot approve it; a second person can. A viewer can do neither.
func TestLargeReplayNeedsASecondPerson(t *testing.T) {
	t.Parallel()
	f := failingWorld(t, 3, func(c *Config) { c.ApprovalOver = 2 })
	f.mended.Store(true)
	contains(t, f.get("/ops/replay/plan?lane=orders"), "a second person must approve", "Request the replay", "ops redeliver --to orders --dry-run")
	page := f.post("/ops/replay", url.Values{"lane": {"orders"}, "reason": {"a test <b>"}})
	contains(t, page, "Requested: 3 events.", "You requested it, so a second person must approve it.", "a test &lt;b&gt;")
	one := f.newestReplay()
	contains(t, f.post("/ops/replay/"+one.ID+"/approve", url.Values{"reason": {"mine"}}), "a second person must approve this replay")
	f.Client = f.signIn("viewer")
	if page := f.get("/ops/replay/" + one.ID); strings.Contains(page, "<form method=\"post\" action=\"/ops/replay") {
		t.Error("a viewer got a form to change the replay")
	}
	if answer, _ := f.send(f.Client, http.MethodPost, "/ops/replay/"+one.ID+"/approve", url.Values{"reason": {"x"}}); answer.StatusCode != http.StatusForbidden || f.newestReplay().State != worker.ReplayWaiting {
		t.Errorf("approval by a viewer: got %s", answer.Status)
	}
	f.Client = f.signIn("olu")
	contains(t, f.post("/ops/replay/"+one.ID+"/approve", url.Values{"reason": {"looks right"}}), "Approved. It runs now.", "staff:olu")
}

// newestReplay returns the newest replay.
func (f *failing) newestReplay() replay.Replay {
	f.t.Helper()
	all, err := replay.NewReplays(f.Reader, worker.NewDispatcher(f.domain), 2).List(f.t.Context())
	if err != nil || len(all) == 0 {
		f.t.Fatalf("replays: %v, %v", all, err)
	}
	return all[0]
}

// The dry run shows exactly what the replay handles, also when the log has grown since, and says what is left out and why.
func TestTheDryRunShowsWhatTheReplayHandles(t *testing.T) {
	t.Parallel()
	f := laneWorld(t)
	f.expire(6)
	for i := range 3 { // the lane was asked three times to handle the event 2 again
		id := fmt.Sprintf("before%d", i)
		f.publish(events.Event{ID: id, Subject: events.PrefixReplay + id, Actor: "staff:olu", Payload: events.RedeliveryRequested{Lane: "orders", Sequences: []uint64{2}, Reason: "a test"}})
	}
	page := f.get("/ops/replay/plan?lane=orders&max=3&since=1h")
	shows(t, page, `Left out because of “most events”: 2 events of the selection, from <a href="/ops/events/5">5</a> on.`, "Left out: 1 handling, because",
		`<a href="/ops/events/2">2</a> <code>orders.expired</code> to orders: replayed 3 times`, "force=yes", "Replay 3 events", "ops redeliver --to orders --since 1h --max 3 --dry-run")
	for _, row := range []struct {
		sequence int
		handled  bool
	}{{1, true}, {2, false}, {3, true}, {4, true}, {5, false}} {
		if got := strings.Contains(page, fmt.Sprintf(`class="num"><a href="/ops/events/%d">`, row.sequence)); got != row.handled {
			t.Errorf("event %d: among the effects is %t, want %t", row.sequence, got, row.handled)
		}
	}
	form := url.Values{"reason": {"misread"}}
	for _, field := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`).FindAllStringSubmatch(page, -1) {
		form.Add(field[1], field[2])
	}
	f.publish(events.Event{ID: "later", Subject: events.PrefixOrder + "later", Payload: events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: "later"}}})
	shows(t, f.post("/ops/replay", form), "Requested: 3 events.")
	if s := f.newestReplay().Requested.Selection; s.From != 1 || s.To != 4 {
		t.Errorf("got a replay of %d to %d, want 1 to 4", s.From, s.To)
	}
	page = f.get("/ops/replay/plan?sequences=2")
	if shows(t, page, "Left out: 1 handling"); strings.Contains(page, "Request the replay") {
		t.Error("a replay of no event can be requested")
	}
}
