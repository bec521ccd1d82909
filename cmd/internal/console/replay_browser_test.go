package console

import (
	"fmt"
	"net/url"
	"testing"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/cmd/internal/proof/coretest"
	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
	"tillstream/orders"
)

// progressPart is the part of the page of a replay that changes while it is open.
const progressPart = "[data-live=progress]"

// runDeaf runs the shop with bad code: inventory decides nothing about new orders.
func runDeaf(t *testing.T, shop *coretest.Shop) (stop func()) {
	t.Helper()
	deaf := worker.On(func(*eventlog.Tx, events.Event, events.OrderPlaced) error { return nil })
	replica := shop.Replica(t, coretest.Domains...)
	for i, d := range replica.Config.Domains {
		if d.Name == "inventory" {
			replica.Config.Domains[i].Routes = append(d.Routes, deaf) // the last of two routes for one type counts
		}
	}
	return replica.Run(t)
}

// Bad code has passed over two orders. Staff see in a dry run what handling them again would do, request it with a reason, and follow
// it from the request to the end. The lanes are those of the shop, and both orders are then paid.
func TestStaffReplayWhatALaneHasMissed(t *testing.T) {
	t.Parallel()
	shop := coretest.Open(t, coretest.Config{AutoPay: true})
	shop.Stock(t, "LAMP", 5)
	w := openOn(t, shop.Server, func(c *Config) {
		c.Dispatcher = worker.NewDispatcher(shop.Replica(t, coretest.Domains...).Config.Domains...)
	})
	stop := runDeaf(t, shop)
	for _, id := range []string{"o1", "o2"} {
		if err := shop.Place(t.Context(), id, coretest.Line("LAMP", 1)); err != nil {
			t.Fatal(err)
		}
	}
	shop.Settle(t)
	stop()
	if got := shop.Order(t, "o1").Status; got != orders.Placed {
		t.Fatalf("before the replay: got an order that is %s, want it only placed", got)
	}
	tab := w.tab(1280)
	tab.Visit(w.URL + "/ops/replay")
	tab.Fill("#lane", "inventory")
	tab.Fill("#type", "orders.placed")
	tab.Click("main form.card > .button")
	tab.See("h1", "Dry run")
	tab.See(".effects", "inventory.reservation_held")
	tab.See("main", "Replay 2 events")
	axe(t, tab)
	tab.Fill("#reason-replay", "inventory passed over new orders")
	tab.Click("form[action='/ops/replay'] .button")
	tab.See(".flash", "Requested: 2 events.")
	tab.See(progressPart, "running 0 of 2 handled")
	tab.See(progressPart, "inventory: 2 events")
	shop.Run(t)
	tab.See(progressPart, "finished 2 of 2 handled")
	tab.See(progressPart, "inventory.reservation_held")
	axe(t, tab)
	shop.Await(t, "o1", orders.Confirmed)
	shop.Await(t, "o2", orders.Confirmed)
	tab.Click(".flash a")
	tab.See("main", "inventory passed over new orders")
	tab.See("main", "console 127.0.0.1")
}

// manyEvents is more than a replay requests before the lanes have answered: 8 batches of 100.
const manyEvents = 900

// allRequested waits until the open page of a replay shows that 8 batches wait for the lane orders.
func allRequested(tab *browsertest.Tab) {
	tab.Until(fmt.Sprintf("document.querySelector(%q).innerText.split('orders: 100 events').length === 9", progressPart))
}

// A large replay waits for a second person, who finds it on the overview and approves it in their own session. It is stopped in the
// middle, where it stays, and resumed to its end. The audit says who did what.
func TestALargeReplayIsApprovedStoppedAndResumed(t *testing.T) {
	t.Parallel()
	f := laneWorld(t, func(c *Config) { c.ApprovalOver = 500 })
	f.expire(manyEvents)
	mira := f.tab(1280)
	mira.Visit(f.URL + "/ops/replay?lane=orders&rate=5000")
	mira.Click("main form.card > .button")
	mira.See("main", "a second person must approve it")
	mira.Fill("#reason-replay", "misread")
	mira.Click("form[action='/ops/replay'] .button")
	mira.See(".flash", "Requested: 900 events.")
	mira.See("main", "You requested it, so a second person must approve it.")
	mira.See(progressPart, "waiting 0 of 900 handled")
	mira.Until("!document.querySelector('form[action$=approve]')")
	f.counted()
	olu := f.tabOf("olu", 390)
	olu.Click(".problem a[href^='/ops/replay/']")
	olu.Fill("#reason-approve", "looks right")
	olu.Click("form[action$=approve] .button")
	olu.See(".flash", "Approved. It runs now.")
	allRequested(mira) // the open page follows
	mira.Fill("#reason-stop", "the database is slow")
	mira.Click("form[action$=stop] .button")
	mira.See(".flash", "Stopped.")
	stop := f.work()
	defer stop()
	mira.See(progressPart, "stopped 800 of 900 handled")
	mira.See("main", "by staff:mira: the database is slow")
	olu.Reload()
	olu.Fill("#reason-resume", "it is fast again")
	olu.Click("form[action$=resume] .button")
	olu.See(".flash", "Resumed.")
	olu.See(progressPart, "finished 900 of 900 handled")
	olu.NoSideScroll()
	for eventType, who := range map[string]string{"ops.replay_requested": "staff:mira", "ops.replay_approved": "staff:olu", "ops.replay_stopped": "staff:mira", "ops.replay_resumed": "staff:olu"} {
		if a := f.newest(eventType); a.Actor != who || a.Via != "console 127.0.0.1" {
			t.Errorf("%s: got %s (%s), want %s (console 127.0.0.1)", eventType, a.Actor, a.Via, who)
		}
	}
}

// A replay outlives the console that drives it: the next one takes it up and drives it to its end.
func TestTheNextConsoleTakesUpAReplay(t *testing.T) {
	t.Parallel()
	f := laneWorld(t)
	f.expire(manyEvents)
	tab := f.tab(1280)
	answer, _ := f.send(f.Client, "POST", "/ops/replay", url.Values{"lane": {"orders"}, "rate": {"5000"}, "reason": {"misread"}})
	path := answer.Header.Get("Location")
	tab.Visit(f.URL + path)
	allRequested(tab)
	f.stop()
	if one := f.newestReplay(); one.Position != 800 || one.State != worker.ReplayRunning {
		t.Fatalf("at the end of the console: got a replay that is %s at %d, want it running at 800", one.State, one.Position)
	}
	f.start()
	stop := f.work()
	defer stop()
	tab.Visit(f.URL + path)
	tab.See(progressPart, "finished 900 of 900 handled")
}
