package console

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

// The overview says how old the last backup is, also when it was made before the part of the log that is counted. A backup that
// failed is none.
func TestTheOverviewHasTheAgeOfTheLastBackup(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.counted()
	shows(t, w.get("/ops"), "No backup yet.")
	record := func(at time.Time, outcome string) {
		w.publish(events.Event{ID: "backup " + outcome, Subject: events.PrefixAction + strings.ReplaceAll(outcome, " ", "-"), Actor: "staff:mira", Time: at,
			Payload: events.ActionRecorded{Action: "backup", Outcome: outcome}})
	}
	record(time.Now().Add(-3*24*time.Hour-time.Minute), "12 events")
	record(time.Now(), "failed: disk full")
	w.counted()
	shows(t, w.get("/ops"), "Last backup", "3 d ago", "by staff:mira: 12 events.")
	w.stop()
	w.start()
	w.counted()
	shows(t, w.get("/ops"), "by staff:mira: 12 events.")
}

// What disagrees with Stripe and what waits for a second person is on the overview with a link, until it is settled. What is broken
// comes before what only waits.
func TestTheOverviewHasReplaysToApproveAndDisagreementsWithStripe(t *testing.T) {
	t.Parallel()
	f := laneWorld(t, func(c *Config) { c.ApprovalOver = 2 })
	f.expire(3)
	f.post("/ops/replay", url.Values{"lane": {"orders"}, "reason": {"misread"}})
	one := f.newestReplay()
	f.counted()
	shows(t, f.get("/ops"), "A replay of 3 events waits for a second person", "requested by staff:mira: misread", `href="/ops/replay/`+one.ID+`"`, "ops replays approve "+one.ID)
	f.console.work.payments.finish(invariants.Report{Findings: []invariants.Finding{{Subject: "order o1", Detail: "captured twice <b>"}}}, nil)
	page := f.get("/ops")
	shows(t, page, "1 disagreement with Stripe", "order o1: captured twice &lt;b&gt;", `href="/ops/payments/open"`)
	if strings.Index(page, "1 disagreement") > strings.Index(page, "waits for a second person") {
		t.Error("what only waits comes before what is broken")
	}
	waits := func() bool { f.counted(); return strings.Contains(f.get("/ops"), "waits for a second person") }
	f.post("/ops/replay/"+one.ID+"/stop", url.Values{"reason": {"not now"}})
	if waits() {
		t.Error("a stopped replay waits for approval")
	}
	f.post("/ops/replay/"+one.ID+"/resume", url.Values{"reason": {"now"}})
	if !waits() {
		t.Error("a resumed replay that nobody has approved does not wait for approval")
	}
	f.Client = f.signIn("olu")
	f.post("/ops/replay/"+one.ID+"/approve", url.Values{"reason": {"right"}})
	if waits() {
		t.Error("an approved replay waits for approval")
	}
}

// The page of an event shows first who did what, and keeps what the broker adds out of the way.
func TestTheHeadersOfAnEventAreInTheOrderOfTheirUse(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.publish(events.Event{ID: "0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10", Subject: events.PrefixItem + "MUG", Actor: "staff:mira", Via: "console 192.0.2.7", Reason: "spring prices",
		Payload: events.ItemChanged{SKU: "MUG", Title: "Mug", Price: pounds(1)}})
	page := w.get("/ops/events/1")
	shows(t, page, "console 192.0.2.7", "&#34;sku&#34;: &#34;MUG&#34;", `href="/ops/items/MUG"`)
	at := -1
	for _, name := range []string{"ce-type", "ce-actor", "ce-reason", "ce-via", "ce-time", "ce-id", "ce-source", "ce-revision", "ce-specversion"} {
		next := strings.Index(page, "<code>"+name+"</code>")
		if next <= at {
			t.Errorf("header %s: got it at %d, want it after the one before, at %d", name, next, at)
		}
		at = next
	}
	f := laneWorld(t)
	f.expire(2)
	ours, broker, _ := strings.Cut(f.get("/ops/events/1"), "<summary>Headers of the broker</summary>")
	if strings.Contains(ours, "<code>Nats-") || !strings.Contains(broker, "<code>Nats-") {
		t.Errorf("headers of the broker: got %t among those of the event, and %t apart", strings.Contains(ours, "<code>Nats-"), strings.Contains(broker, "<code>Nats-"))
	}
}
