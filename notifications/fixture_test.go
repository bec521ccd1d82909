package notifications_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

const staffToken = "staff-secret"

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// testAccess is a fake of Access with the token staffToken.
type testAccess struct{}

func (testAccess) Token(orderID string) string { return "token-of-" + orderID }
func (testAccess) Staff(token string) (api.Principal, bool) {
	return api.Principal{Actor: "staff:mira", Permissions: api.Admin.Permissions()}, token == "Bearer "+staffToken
}

// fixture is a log and a mailbox.
type fixture struct {
	log    *eventlog.Log
	box    *inbox.Inbox
	worker *worker.Worker // the last one that was started
}

func open(t testing.TB) *fixture {
	t.Helper()
	return &fixture{log: logtest.Open(t), box: startInbox(t)}
}

// service returns the domain between log and mailbox. Its time limits are short enough for tests and long enough for a busy
// machine.
func (p *fixture) service(t testing.TB, change ...func(*notifications.Config)) *notifications.Service {
	t.Helper()
	config := notifications.Config{
		Access: testAccess{}, From: "The Lantern Shop <orders@shop.example>", Log: p.log, PublicURL: "https://shop.example", SMTPURL: "smtp://" + p.box.Addr() + "?tls=none",
		Backoff: func(int) time.Duration { return 10 * time.Millisecond }, Deadline: 2 * time.Second,
		PerRecipient: 1_000_000, // the tests mail to one address
		Logger:       slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, c := range change {
		c(&config)
	}
	s, err := notifications.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withDefaultDeadline sets the default deadline, for tests that do not wait for it.
func withDefaultDeadline(c *notifications.Config) { c.Deadline = 0 }

// start runs a service and its lanes until stop is called or the test ends.
func (p *fixture) start(t testing.TB, s *notifications.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w, err := worker.New(ctx, p.log, worker.Config{Domains: []worker.Domain{s.Worker()}})
	if err != nil {
		t.Fatal(err)
	}
	p.worker = w
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{s.Run, w.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return stop
}

// orders stands for the orders domain. Its state is the number of events.
var orders = eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// placeOrder appends the first event of an order, with a change.
func (p *fixture) placeOrder(t testing.TB, orderID string, change func(*events.Customer)) {
	t.Helper()
	first := notifications.SamplePlaced(orderID)
	change(&first.Customer)
	if err := p.log.Do(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, orderID, first) }); err != nil {
		t.Fatal(err)
	}
}

// appendOrder appends events of an order, after its first event if the order is new.
func (p *fixture) appendOrder(t testing.TB, orderID string, facts ...events.Payload) {
	t.Helper()
	err := p.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		tx.WithCorrelation(orderID)
		known, err := orders.LoadNew(tx, orderID)
		if err != nil {
			return err
		}
		if known == 0 {
			if err := orders.Append(tx, orderID, notifications.SamplePlaced(orderID)); err != nil {
				return err
			}
		}
		return orders.Append(tx, orderID, facts...)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (p *fixture) state(t testing.TB, orderID string) notifications.Notification {
	t.Helper()
	n, _, err := notifications.Notifications.Read(t.Context(), p.log, orderID)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// waitForStatus waits until the n-th message of an order has a status.
func (p *fixture) waitForStatus(t testing.TB, orderID string, n int, want notifications.Status) notifications.Message {
	t.Helper()
	var got notifications.Message
	waitFor(t, fmt.Sprintf("message %d of %s is %s", n, orderID, want), func() bool {
		state, _, err := notifications.Notifications.Read(t.Context(), p.log, orderID)
		if err != nil || len(state.Messages) <= n {
			return false
		}
		got = state.Messages[n]
		return got.Status == want
	})
	return got
}

// waitUntilIdle waits until the lanes have handled the whole log and have no open acts.
func (p *fixture) waitUntilIdle(t testing.TB) {
	t.Helper()
	waitFor(t, "the lanes are idle", func() bool {
		end, err := p.log.End(t.Context(), 0)
		return err == nil && !slices.ContainsFunc(p.worker.Lanes(), func(l worker.LaneStatus) bool {
			return !l.Leased || l.Position < end || l.Open > 0
		})
	})
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("after 2 min: want %s", what)
		}
	}
}
