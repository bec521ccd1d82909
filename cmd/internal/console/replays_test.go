package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

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
