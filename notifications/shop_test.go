package notifications_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
	"tillstream/notifications"
	"tillstream/notifications/inbox"
)

const staffToken = "staff-secret"

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// doors answers who may see what.
type doors struct{}

func (doors) Token(orderID string) string { return "token-of-" + orderID }
func (doors) Staff(token string) bool     { return token == staffToken }

// post is a log, a mailbox and the domain between them.
type post struct {
	log *log.Log
	box *inbox.Inbox
}

func open(t testing.TB) *post {
	t.Helper()
	return &post{log: logtest.Open(t), box: startInbox(t)}
}

// service is the domain with time limits for tests: short enough to wait for, long enough for a busy machine.
func (p *post) service(t testing.TB, change ...func(*notifications.Config)) *notifications.Service {
	t.Helper()
	config := notifications.Config{
		Access: doors{}, From: "The Lantern Shop <orders@shop.example>", Log: p.log, PublicURL: "https://shop.example", SMTPURL: "smtp://" + p.box.Addr() + "?tls=none",
		Backoff: func(int) time.Duration { return 10 * time.Millisecond }, Deadline: 2 * time.Second,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
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

// patient has the time limits of a shop, for tests in which nobody waits for one.
func patient(c *notifications.Config) { c.Deadline = 0 }

// runs runs a service's loops until the test ends or stop is called.
func (p *post) runs(t testing.TB, s *notifications.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := worker.New(p.log, worker.Config{Deciders: s.Deciders(), Actors: s.Actors(), Sweeps: s.Sweeps()})
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

// says appends what the orders domain says about an order.
func (p *post) says(t testing.TB, orderID string, facts ...events.Payload) {
	t.Helper()
	journal := log.Journal{Stream: events.StreamOrders, Subject: events.PrefixOrder + orderID}
	err := p.log.Do(t.Context(), func(tx *log.Tx) error {
		tx.About(orderID)
		return journal.Append(tx, facts...)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (p *post) state(t testing.TB, orderID string) notifications.Notification {
	t.Helper()
	n, _, err := notifications.Notifications.Read(t.Context(), p.log, orderID)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// becomes waits until the n-th message of an order is in a state.
func (p *post) becomes(t testing.TB, orderID string, n int, want notifications.Status) notifications.Message {
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

// settled waits until the consumers have seen and acknowledged all there is.
func (p *post) settled(t testing.TB) {
	t.Helper()
	waitFor(t, "the consumers have nothing left", func() bool {
		return p.idle(t, events.StreamOrders, "notifications-orders") && p.idle(t, events.StreamNotifications, "notifications-mail")
	})
}

func (p *post) idle(t testing.TB, stream, name string) bool {
	t.Helper()
	consumer, err := p.log.JetStream().Consumer(t.Context(), stream, name)
	if err != nil {
		return false
	}
	done, err := logtest.CaughtUp(t.Context(), p.log.JetStream(), consumer.CachedInfo())
	return err == nil && done
}

// waitFor polls for a fact.
func waitFor(t testing.TB, what string, fact func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !fact() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
