package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// hostileError is text that would break out of a page, a row, an attribute or a terminal.
const hostileError = `"><script>document.title='owned'</script><img src=x onerror="document.title='owned'">` + "\u202e\x1b[31m"

// failing is a world with a lane that cannot handle expired orders until it is mended.
type failing struct {
	*world
	mended *atomic.Bool
	domain worker.Domain
}

// failingWorld opens a console on a log with that many dead letters of one cause, whose error is hostile.
func failingWorld(t *testing.T, orders int, change ...func(*Config)) *failing {
	t.Helper()
	f := laneWorld(t, change...)
	f.mended.Store(false)
	for i := range orders {
		f.publish(events.Event{ID: fmt.Sprintf("e%d", i), Subject: fmt.Sprintf("orders.o%d", i), CorrelationID: fmt.Sprintf("o%d", i), Payload: events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: hostileError}}})
	}
	stop := f.work()
	defer stop()
	f.await("every event is a dead letter", func(all []replay.DeadLetter) bool { return len(all) == orders })
	return f
}

// laneWorld opens a console on an empty log, for the lane orders, which handles expired orders. The lane does not run yet.
func laneWorld(t *testing.T, change ...func(*Config)) *failing {
	t.Helper()
	f := &failing{mended: new(atomic.Bool)}
	f.mended.Store(true)
	handle := func(tx *eventlog.Tx, e events.Event, _ events.OrderExpired) error {
		if !f.mended.Load() {
			return worker.DeadLetter(errors.New("no rule for " + hostileError))
		}
		return nil
	}
	f.world = open(t, append(change, func(c *Config) {
		f.domain = worker.Domain{Name: "orders", Log: c.Log.Log(), Routes: []worker.Route{worker.On(handle)}}
		c.Dispatcher = worker.NewDispatcher(f.domain)
	})...)
	return f
}

// expire appends events that the lane orders handles, in one commit.
func (f *failing) expire(n int) {
	f.t.Helper()
	expired := eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}
	err := f.Log.ForDomain("orders").Do(f.t.Context(), func(tx *eventlog.Tx) error {
		for i := range n {
			id := fmt.Sprintf("x%d", i)
			if _, err := expired.LoadNew(tx, id); err != nil {
				return err
			}
			if err := expired.Append(tx, id, events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: id}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// work runs the lane until stop is called.
func (f *failing) work() (stop func()) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	w, err := worker.New(ctx, f.Log, worker.Config{Domains: []worker.Domain{f.domain}})
	if err != nil {
		f.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	}
}

// await waits until the dead letters are as wanted.
func (f *failing) await(what string, holds func([]replay.DeadLetter) bool) {
	f.t.Helper()
	deadline := time.After(30 * time.Second)
	for ticker := time.NewTicker(20 * time.Millisecond); ; {
		all, err := f.Reader.DeadLetters(f.t.Context(), 0)
		if err != nil {
			f.t.Fatal(err)
		}
		if holds(all) {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			f.t.Fatalf("after 30 s: not %s: %+v", what, all)
		}
	}
}

// letter returns the newest dead letter.
func (f *failing) letter() replay.DeadLetter {
	f.t.Helper()
	all, err := f.Reader.DeadLetters(f.t.Context(), 0)
	if err != nil || len(all) == 0 {
		f.t.Fatalf("dead letters: %v, %v", all, err)
	}
	return all[len(all)-1]
}

// A lane ran bad code: staff see one cause, try a dry run, redrive all of it with a reason, see how it goes, and the audit says who.
func TestStaffRedriveACauseInTheBrowser(t *testing.T) {
	t.Parallel()
	f := failingWorld(t, 7)
	tab := f.tab(1280)
	tab.Visit(f.URL + "/ops/deadletters")
	tab.See("tbody strong", "7")
	tab.Click("tbody a")
	tab.See("main h2", "Causes")
	tab.Click("a[href*='dryrun']")
	tab.See("h1", "Dry run")
	tab.See(".effects", "fails orders: no rule for")
	f.mended.Store(true)
	tab.Reload()
	tab.See("tbody", "nothing: the event was handled before")
	tab.Fill("#reason-redrive", "mended in 1.4.2 "+strings.TrimRight(hostileError, "\u202e\x1b[31m"))
	tab.Click("main form .button")
	tab.See(".flash", "Requested: 7 dead letters.")
	tab.See("[data-live=progress]", "0 of 7 dead letters")
	stop := f.work()
	defer stop()
	tab.See("[data-live=progress]", "7 of 7 dead letters: 7 redriven, 0 failed again")
	tab.See(".facts", "staff:mira (console 127.0.0.1)")
	axe(t, tab)
	tab.Visit(f.URL + "/ops/audit?type=ops.redelivery_requested")
	tab.See("tbody", "orders is to handle 7 events again: mended in 1.4.2")
	tab.Until("document.title.startsWith('Audit')") // no hostile text became markup
}

// One dead letter shows the event, the state that it met and its history; discarding it needs a reason and is in the audit.
func TestStaffDiscardADeadLetterInTheBrowser(t *testing.T) {
	t.Parallel()
	f := failingWorld(t, 1)
	tab := f.tab(1280)
	tab.Visit(fmt.Sprintf("%s/ops/deadletters/%d", f.URL, f.letter().Number))
	tab.See("h2.bad-text", "no rule for")
	tab.See(".steps", "attempt 1 failed")
	tab.See(".headers", "ce-type")
	tab.Fill("#reason-discard", "refunded by hand")
	tab.Click(".button.danger")
	tab.See(".flash", "Discarded: 1 dead letter.")
	tab.See(".page-head .chip", "discarded")
	tab.See(".steps", "refunded by hand")
	tab.Until("!document.querySelector('main form')")
	tab.Click(".flash a")
	tab.See("tbody", "orders will not handle 1: refunded by hand")
	tab.Until("document.title.startsWith('Audit')")
}

// A redrive that fails again says so, and the request waits while no process runs the lane.
func TestRedriveShowsFailuresAndWaiting(t *testing.T) {
	t.Parallel()
	f := failingWorld(t, 2)
	page := f.post("/ops/deadletters/redrive", url.Values{"number": {fmt.Sprint(f.letter().Number)}, "reason": {"perhaps"}})
	contains(t, page, "Requested: 1 dead letter.", "1 waiting", "A request waits in the log")
	stop := f.work()
	defer stop()
	f.await("the second attempt failed", func(all []replay.DeadLetter) bool { return all[len(all)-1].Attempt == 2 })
	entity := f.newest("ops.redelivery_requested").Subject
	contains(t, f.get("/ops/deadletters/redrives/"+strings.TrimPrefix(entity, events.PrefixReplay)), "1 failed again", "0 waiting", "no rule for")
}

// newest returns the newest action of a type.
func (w *world) newest(eventType string) replay.Action {
	w.t.Helper()
	actions, _, err := w.Reader.Trail().Page(w.t.Context(), replay.ActionFilter{Type: eventType}, replay.Place{}, 1)
	if err != nil || len(actions) == 0 {
		w.t.Fatalf("newest %s: %v, %v", eventType, actions, err)
	}
	return actions[0]
}

// contains fails the test unless a page has all of these texts.
func contains(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q:\n%s", text, page)
		}
	}
}

// An action needs a reason, an open dead letter and a choice; without them nothing is appended.
func TestLetterActionsAreRefused(t *testing.T) {
	t.Parallel()
	f := failingWorld(t, 1)
	number := fmt.Sprint(f.letter().Number)
	for name, c := range map[string]struct {
		path string
		form url.Values
		want string
	}{
		"NoReason":   {"redrive", url.Values{"number": {number}}, "no reason given"},
		"NoChoice":   {"redrive", url.Values{"reason": {"x"}}, "choose dead letters"},
		"Both":       {"discard", url.Values{"reason": {"x"}, "number": {number}, "cause": {"c"}}, "choose dead letters"},
		"NotANumber": {"discard", url.Values{"reason": {"x"}, "number": {"<b>"}}, "is not the number of a dead letter"},
		"Unknown":    {"discard", url.Values{"reason": {"x"}, "number": {"99"}}, "no dead letter has the number 99"},
	} {
		t.Run(name, func(t *testing.T) {
			c.form.Set("back", "/ops/deadletters")
			page := f.post("/ops/deadletters/"+c.path, c.form)
			if !strings.Contains(page, `class="flash bad"`) || !strings.Contains(page, c.want) {
				t.Errorf("the page lacks the refusal %q", c.want)
			}
		})
	}
	if d := f.letter(); d.State != replay.StateOpen {
		t.Errorf("state after refused actions: got %s, want open", d.State)
	}
}

// A viewer sees dead letters, and neither sees nor may use the buttons.
func TestViewersDoNotSettleDeadLetters(t *testing.T) {
	t.Parallel()
	f := failingWorld(t, 1)
	d := f.letter()
	f.Client = f.signIn("viewer")
	for _, path := range []string{fmt.Sprintf("/ops/deadletters/%d", d.Number), "/ops/deadletters?cause=" + d.Fingerprint, fmt.Sprintf("/ops/deadletters/dryrun?number=%d", d.Number)} {
		if page := f.get(path); strings.Contains(page, `action="/ops/deadletters/`) || !strings.Contains(page, "no rule for") {
			t.Errorf("%s: got a form, or no dead letter, want the dead letter without forms", path)
		}
	}
	for _, action := range []string{"redrive", "discard"} {
		answer, _ := f.send(f.Client, "POST", "/ops/deadletters/"+action, url.Values{"number": {fmt.Sprint(d.Number)}, "reason": {"x"}})
		if answer.StatusCode != http.StatusForbidden || f.letter().State != replay.StateOpen {
			t.Errorf("%s by a viewer: got %s and %s, want a refusal", action, answer.Status, f.letter().State)
		}
	}
	if n := len(f.page(t, replay.ActionFilter{})); n > 0 {
		t.Errorf("got %d actions of a viewer, want none", n)
	}
}

func (w *world) page(t *testing.T, filter replay.ActionFilter) []replay.Action {
	t.Helper()
	actions, _, err := w.Reader.Trail().Page(t.Context(), filter, replay.Place{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	return actions
}

// The pages of dead letters on a phone and on a desktop, light and dark.
func TestLetterPagesLookRight(t *testing.T) {
	t.Parallel()
	f := failingWorld(t, 30)
	d := f.letter()
	f.checkLooks("deadletters", "/ops/deadletters?cause="+d.Fingerprint)
	f.checkLooks("deadletter", fmt.Sprintf("/ops/deadletters/%d", d.Number))
	f.checkLooks("deadletter-dryrun", "/ops/deadletters/dryrun?cause="+d.Fingerprint)
	f.checkLooks("deadletters-none", "/ops/deadletters?state=discarded")
	answer, _ := f.send(f.Client, "POST", "/ops/deadletters/redrive", url.Values{"cause": {d.Fingerprint}, "reason": {"mended in 1.4.2"}})
	f.checkLooks("redrive", answer.Header.Get("Location"))
	f.checkLooks("audit", "/ops/audit")
	f.checkLooks("audit-refused", "/ops/audit?since=someday")
	tab := browsertest.Open(t, 1280)
	tab.Visit(f.URL + "/ops/deadletters")
	tab.Until("location.pathname === '/ops/signin'")
}
