package console

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/replay"
)

// openKept starts a console on a log with an order whose texts are hostile, without waiting for an archive: no lane writes one.
func openKept(t *testing.T) *world {
	t.Helper()
	w := open(t, func(c *Config) {
		c.API = &orderAPI{}
		c.Verify = invariants.Options{ArchivePatience: time.Millisecond, Patience: time.Nanosecond}
	})
	w.story()
	w.allLanes("shop")
	return w
}

// lastAction returns the newest action that leaves no other event, once there is one.
func (w *world) lastAction() (done replay.Action) {
	w.t.Helper()
	projecttest.Await(w.t, "the action is in the audit", func() bool {
		actions, _, err := w.Reader.Trail().Page(w.t.Context(), replay.ActionFilter{Type: "ops.action_recorded"}, replay.Place{}, 1)
		if err == nil && len(actions) == 1 {
			done = actions[0]
		}
		return err == nil && len(actions) == 1
	})
	return done
}

// checkAction fails the test unless the newest recorded action is by mira from the console, with a reason.
func (w *world) checkAction(summary, reason string) {
	w.t.Helper()
	done := w.lastAction()
	if done.Actor != "staff:mira" || done.Reason != reason || !strings.HasPrefix(done.Via, "console ") || !strings.Contains(done.Summary, summary) {
		w.t.Errorf("audit: got %+v, want %q by staff:mira with the reason %q via console", done, summary, reason)
	}
}

// waits waits until a page shows a text, and returns the page.
func (w *world) waits(path, text string) (body string) {
	w.t.Helper()
	projecttest.Await(w.t, path+" shows "+text, func() bool { body = w.get(path); return strings.Contains(body, text) })
	return body
}

func TestStaffVerifyThePromisesInTheConsole(t *testing.T) {
	w := openKept(t)
	shows(t, w.get("/ops/system/verify"), "Not verified since the console was started", "ops verify")
	shows(t, w.post("/ops/system/verify", url.Values{}), "Verifying the promises")
	body := w.waits("/ops/system/verify", "no order is charged twice")
	shows(t, body, "stock adds up, nothing is oversold", "every entity can be read from the log", "not in the archive", "events, 1 order")
	if strings.Contains(body, "<img") {
		t.Error("got markup from stored text")
	}
	shows(t, w.post("/ops/system/verify", url.Values{"at": {"9"}}), "Verifying the promises at sequence 9")
	shows(t, w.waits("/ops/system/verify", "the promises at sequence 9,"), "Not checked: Stripe, which tells only its present state")
	shows(t, w.post("/ops/system/verify", url.Values{"at": {"9"}, "deep": {"yes"}}), "cannot be compared at an earlier moment")
	shows(t, w.post("/ops/system/verify", url.Values{"at": {hostile}}), "want a sequence, a time")
	shows(t, w.post("/ops/system/verify", url.Values{"at": {"99"}}), "the last one is")
}

func TestALongWorkIsStartedOnceAndOutlivesItsPage(t *testing.T) {
	w := openKept(t)
	began, results := make(chan context.Context), make(chan error)
	err := w.console.work.verify.start(t.Context(), "staff:ada", "the promises "+hostile, func(ctx context.Context, report progress) (invariants.Report, error) {
		report("log", 12000, 30000)
		began <- ctx
		return invariants.Report{OK: true}, <-results
	})
	if err != nil {
		t.Fatal(err)
	}
	running := <-began
	shows(t, w.get("/ops/system/verify"), "log: 12,000 of 30,000", "staff:ada", `value="40"`, `data-live-from="/ops/live/work/verify"`, "Verify</button>", " disabled")
	shows(t, w.post("/ops/system/verify", url.Values{}), "A verification is running already, started by staff:ada")
	results <- errors.New("the broker is away")
	shows(t, w.waits("/ops/system/verify", "It could not be done"), "the broker is away")
	if running.Err() != nil {
		t.Error("the work has ended with a request; want it to go on until the console ends")
	}
}

func TestProgressIsShownWhileThePageIsOpen(t *testing.T) {
	w := openKept(t)
	results := make(chan error)
	steps := make(chan uint64)
	err := w.console.work.rebuild.start(t.Context(), "staff:ada", "comparing", func(_ context.Context, report progress) (_ []project.RebuildReport, err error) {
		for {
			select {
			case done := <-steps:
				report("fold orders", done, 100)
			case err = <-results:
				return nil, err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	steps <- 25
	tab := w.tab(390)
	tab.Visit(w.URL + "/ops/system/lists")
	tab.See("[data-live=progress]", "fold orders: 25 of 100")
	steps <- 75
	tab.See("[data-live=progress]", "fold orders: 75 of 100")
	results <- nil
	tab.See("[data-live=progress]", "The lists agree with the log")
}

func TestListsAreComparedAndRebuilt(t *testing.T) {
	w := openKept(t)
	shows(t, w.get("/ops/system/lists"), "orders.projection", "payments.projection", "Rebuild")
	w.post("/ops/system/lists/compare", url.Values{"projection": {"orders.projection"}})
	shows(t, w.waits("/ops/system/lists", "is missing"), "comparing orders.projection with the log", orderID)
	shows(t, w.post("/ops/system/lists/rebuild", url.Values{"projection": {"orders.projection"}}), "please give a reason")
	shows(t, w.post("/ops/system/lists/rebuild", url.Values{"projection": {hostile}, "reason": {"x"}}), `no projection &#34;\&#34;&gt;&lt;img`)
	if n, err := w.DB.Collection("orders").CountDocuments(t.Context(), map[string]any{}); err != nil || n != 0 {
		t.Fatalf("documents after a comparison: got %d, %v; want none", n, err)
	}
	w.post("/ops/system/lists/rebuild", url.Values{"projection": {"orders.projection"}, "reason": {"the database was lost"}})
	w.checkAction("rebuild", "the database was lost")
	shows(t, w.waits("/ops/system/lists", "rebuilt</span>"), "What the audit says")
	if n, err := w.DB.Collection("orders").CountDocuments(t.Context(), map[string]any{"_id": orderID}); err != nil || n != 1 {
		t.Errorf("documents after a rebuild: got %d, %v; want the order", n, err)
	}
}

func TestTheArchiveIsComparedAndFilledFromTheLog(t *testing.T) {
	w := openKept(t)
	w.post("/ops/system/repair/compare", url.Values{})
	shows(t, w.waits("/ops/system/repair", "not in the archive"), "Log and archive differ", "orders.placed")
	shows(t, w.post("/ops/system/repair/restore", url.Values{}), "please give a reason")
	w.post("/ops/system/repair/restore", url.Values{"reason": {"disk of the database replaced"}})
	w.checkAction("repair", "disk of the database replaced")
	w.post("/ops/system/repair/compare", url.Values{})
	w.waits("/ops/system/repair", "Nothing is lost")
}

// The archive has events that the log has lost. While the console runs, the log is not restored, also when no lane has a process.
func TestALogThatLacksEventsIsNotWrittenByTheConsole(t *testing.T) {
	w := open(t)
	w.story()
	w.fillArchive()
	if err := w.Log.SaveCheckpoint(t.Context(), &eventlog.Checkpoint{Lane: "orders", Position: 9999, Read: 9999}); err != nil {
		t.Fatal(err)
	}
	w.post("/ops/system/repair/restore", url.Values{"reason": {"x"}})
	shows(t, w.waits("/ops/system/repair", "It could not be done"), "stop every process, this console too")
	w.checkAction("failed: the log lacks events", "x")
	if lane, err := w.Log.LoadCheckpoint(t.Context(), "orders"); err != nil || lane.Position != 9999 {
		t.Errorf("position of the lane: got %d, %v; want it unchanged", lane.Position, err)
	}
}

func TestTopologyIsShownAndApplied(t *testing.T) {
	w := openKept(t)
	shows(t, w.get("/ops/system/topology"), "The broker has everything that this release needs", "test")
	shows(t, w.post("/ops/system/topology", url.Values{}), "please give a reason")
	shows(t, w.post("/ops/system/topology", url.Values{"reason": {"a new release"}}), "The broker is set up for topology")
	w.checkAction("topology --apply", "a new release")
}

func TestCopiesAreWrittenAndDownloaded(t *testing.T) {
	w := openKept(t)
	if answer, _ := w.send(w.Client, "GET", "/ops/download/backup", nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a download before there is one: got %s, want 404", answer.Status)
	}
	shows(t, w.post("/ops/system/copies/state", url.Values{"at": {hostile}, "reason": {"x"}}), "want a sequence, a time")
	shows(t, w.post("/ops/system/copies/state", url.Values{"at": {"9"}}), "please give a reason")
	w.post("/ops/system/copies/state", url.Values{"at": {"9"}, "reason": {"for the auditor"}})
	shows(t, w.waits("/ops/system/copies", "Download the state"), "at event 9")
	w.checkAction("at --all", "for the auditor")
	files := w.unzip("/ops/download/state")
	if !strings.Contains(files["shop-at-9/orders.jsonl"], orderID) || !strings.Contains(files["shop-at-9/manifest.json"], `"sequence": 9`) {
		t.Errorf("state: got files %q", files)
	}
	first := w.console.work.state.get().Result.Dir
	w.post("/ops/system/copies/state", url.Values{"at": {"3"}, "reason": {"again"}})
	w.waits("/ops/system/copies", "at event 3")
	if first == w.console.work.state.get().Result.Dir {
		t.Error("the second copy is in the directory of the first")
	}
	w.fillArchive()
	w.post("/ops/system/copies/backup", url.Values{"reason": {"before the upgrade"}})
	w.waits("/ops/system/copies", "Download the backup")
	if files := w.unzip("/ops/download/backup"); files["backup/manifest.json"] == "" || files["backup/secrets.json"] != "" {
		t.Errorf("backup: got files %q, want a manifest and no secrets", files)
	}
}

// fillArchive copies the log into the archive.
func (w *world) fillArchive() {
	w.t.Helper()
	if _, err := (replay.Repair{DB: w.DB, Log: w.Reader}).Run(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// unzip returns the files of a download by name.
func (w *world) unzip(path string) map[string]string {
	w.t.Helper()
	body := w.get(path)
	read, err := zip.NewReader(strings.NewReader(body), int64(len(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range read.File {
		opened, err := f.Open()
		if err != nil {
			w.t.Fatal(err)
		}
		var content bytes.Buffer
		_, err = content.ReadFrom(opened)
		if err := errors.Join(err, opened.Close()); err != nil {
			w.t.Fatal(err)
		}
		files[f.Name] = content.String()
	}
	return files
}

func TestStaffSeeAnEntityAsItWas(t *testing.T) {
	w := openKept(t)
	shows(t, w.get("/ops/orders/"+orderID), `action="/ops/past"`, `value="`+orderID+`"`)
	body := w.get("/ops/past?entity=" + orderID + "&at=4")
	shows(t, body, "order:"+orderID, "awaiting_payment", "confirmed", "Changed until now", "ops diff "+orderID+" 4", "orders.confirmed", "&lt;img src=x")
	if strings.Contains(body, "<img") {
		t.Error("got markup from stored text")
	}
	shows(t, w.get("/ops/past?entity=stock:MUG&at=1&to=2"), "It did not exist yet", "Changed until sequence 2", "ops diff stock:MUG 1 2")
	for _, wrong := range []struct{ entity, at, want string }{
		{orderID, "tomorrow", "want a sequence"}, {orderID, "9999", "the last one is"}, {"nothing", "4", "want the id or number"}, {hostile, "4", ""}, {orderID, "2099-01-01", "in the future"}} {
		answer, body := w.send(w.Client, "GET", "/ops/past?"+url.Values{"entity": {wrong.entity}, "at": {wrong.at}}.Encode(), nil)
		if answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, wrong.want) || strings.Contains(body, "<img") {
			t.Errorf("%q at %q: got %s, want 400 and %q", wrong.entity, wrong.at, answer.Status, wrong.want)
		}
	}
}

func TestAnEntityIsFoundByTheNumberOfItsOrder(t *testing.T) {
	api := &orderAPI{list: orderList{Orders: []listedOrder{listed(orderID)}, Total: 1, Exact: true}}
	w := open(t, func(c *Config) { c.API = api })
	w.story()
	shows(t, w.get("/ops/past?entity="+url.QueryEscape("# 4xrjk qyw5e")+"&at=4"), "order:"+orderID)
	if got := api.last.URL.Query().Get("q"); got != "4XRJK-QYW5E" {
		t.Errorf("asked the staff API for %q, want the number as orders have it", got)
	}
}

func TestAnEventIsDeclaredVoidWithAReason(t *testing.T) {
	w := openKept(t)
	msg := &nats.Msg{Subject: events.PrefixOrder + orderID, Data: []byte("{")}
	ack, err := w.js.PublishMsg(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	sequence := fmt.Sprint(ack.Sequence)
	path := "/ops/events/" + sequence + "/void"
	shows(t, w.get("/ops/events/"+sequence), `href="`+path+`"`)
	shows(t, w.get(path), "its entity is unavailable until it is void", "ops void "+sequence+" --dry-run")
	shows(t, w.post(path, url.Values{}), "please give a reason")
	tab := w.tab(390)
	tab.Visit(w.URL + path)
	tab.Fill("#reason-void", "published by hand <b>")
	tab.Click("main button.danger")
	tab.See(".flash", "is void: every process skips it")
	tab.Click(".flash a")
	tab.See("main", "ops.event_voided")
	tab.See("main", "published by hand <b>")
	shows(t, w.get(path), "It is void already")

	readable := "/ops/events/1/void"
	shows(t, w.get(readable), "This event can be read")
	shows(t, w.post(readable, url.Values{"reason": {"x"}}), "correct it by another event")
	shows(t, w.post(readable, url.Values{"reason": {"it does not follow"}, "force": {"yes"}}), "Event 1 is void")
}

func TestMaintenanceNeedsItsPermission(t *testing.T) {
	w := openKept(t)
	operator, viewer := w.signIn("operator"), w.signIn("viewer")
	for _, path := range []string{"/ops/system/lists/rebuild", "/ops/system/repair/restore", "/ops/system/topology", "/ops/system/copies/backup", "/ops/system/copies/state", "/ops/events/1/void"} {
		for _, client := range []*http.Client{operator, viewer} {
			if answer, body := w.send(client, "POST", path, url.Values{"reason": {"x"}}); answer.StatusCode != http.StatusForbidden || !strings.Contains(body, "does not have the permission data:write") {
				t.Errorf("POST %s without the permission: got %s, want 403", path, answer.Status)
			}
		}
	}
	for _, path := range []string{"/ops/system/copies", "/ops/download/backup", "/ops/download/state", "/ops/events/1/void"} {
		if answer, _ := w.send(viewer, "GET", path, nil); answer.StatusCode != http.StatusForbidden {
			t.Errorf("GET %s of a viewer: got %s, want 403", path, answer.Status)
		}
	}
	w.Client = viewer
	for path, forms := range map[string][]string{"/ops/system/lists": {"/rebuild"}, "/ops/system/repair": {"/restore"}, "/ops/system/topology": {`method="post" action="/ops/system/topology"`}, "/ops/system": {"/ops/system/copies"}, "/ops/events/1": {"/void"}} {
		body := w.get(path)
		if slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(body, form) }) {
			t.Errorf("%s offers a viewer what needs data:write", path)
		}
	}
	shows(t, w.post("/ops/system/verify", url.Values{}), "Verifying the promises")
}

func TestPagesOfMaintenanceLookRight(t *testing.T) {
	w := openKept(t)
	w.post("/ops/system/repair/compare", url.Values{})
	w.waits("/ops/system/repair", "not in the archive")
	w.fillArchive()
	w.post("/ops/system/verify", url.Values{})
	w.post("/ops/system/lists/compare", url.Values{"projection": {"orders.projection"}})
	w.post("/ops/system/copies/state", url.Values{"at": {"9"}, "reason": {"for the auditor"}})
	w.waits("/ops/system/verify", "no order is charged twice")
	w.waits("/ops/system/lists", "is missing")
	w.waits("/ops/system/copies", "Download the state")
	for name, path := range map[string]string{"verify": "/ops/system/verify", "lists": "/ops/system/lists", "repair": "/ops/system/repair", "topology": "/ops/system/topology",
		"copies": "/ops/system/copies", "past": "/ops/past?entity=" + orderID + "&at=4", "void": "/ops/events/1/void", "system": "/ops/system"} {
		w.checkLooks(name, path)
	}
}
