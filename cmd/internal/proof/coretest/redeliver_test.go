package coretest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/coretest"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/proof/redelivery"
	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
	"tillstream/notifications/inbox"
	"tillstream/orders"
)

// author is who runs the replays of these tests.
var author = events.Author{Actor: "staff:mira", Reason: "a test"}

// replaysOf returns the replays of a shop, its log, and a dispatcher with the lanes that the shop runs.
func replaysOf(t *testing.T, shop *coretest.Shop) (*replay.Replays, *replay.Reader, *worker.Dispatcher) {
	t.Helper()
	reader, err := replay.Open(t.Context(), logtest.Connect(t, shop.Server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	dispatcher := worker.NewDispatcher(shop.Replica(t, coretest.Domains...).Config.Domains...)
	return replay.NewReplays(reader, dispatcher, 1_000_000), reader, dispatcher
}

// run requests and drives a replay to its end.
func run(t *testing.T, replays *replay.Replays, o replay.ReplayOptions) replay.Replay {
	t.Helper()
	o.Rate = 10_000
	plan, err := replays.Plan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	id, err := replays.Request(t.Context(), plan, author)
	if err != nil {
		t.Fatal(err)
	}
	done, err := replays.Drive(t.Context(), id, author, nil)
	if err != nil || done.State != worker.ReplayFinished || done.Counts.Handled != plan.Handlings {
		t.Fatalf("got replay %+v (%v), want it finished", done, err)
	}
	return done
}

// Row 56 of the fault matrix: every event is handled again by every lane that decides or acts, while orders flow. The replay appends
// nothing: all new events are of the live orders, and the states of all entities that these did not change have the same hash. It
// charges and refunds nothing, and mails nothing.
func TestFullRedeliveryWhileOrdersFlow(t *testing.T) {
	t.Parallel()
	for name, separate := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := withHistory(t, 60, coretest.Config{Separate: separate, Mail: true})
			shop.Run(t)
			shop.Stock(t, "CANDLE", 40)
			shop.Settle(t)
			replays, reader, _ := replaysOf(t, shop)
			before, err := redelivery.Take(t.Context(), redelivery.Shop{Log: reader})
			if err != nil {
				t.Fatal(err)
			}
			money, mails := shop.Stripe.Money(), shop.Inbox.Messages("")
			flowing := make(chan struct{})
			go func() {
				defer close(flowing)
				for i := range 20 {
					if err := shop.Place(t.Context(), fmt.Sprintf("live%d", i), coretest.Line("CANDLE", 1)); err != nil {
						t.Error(err)
					}
				}
			}()
			done := run(t, replays, replay.ReplayOptions{To: before.Last()})
			<-flowing
			shop.Settle(t)
			if c := done.Counts; c.Appended() > 0 || c.Opened > 0 || c.Failed > 0 || c.Done == 0 || c.Nothing == 0 {
				t.Errorf("got %+v, want that nothing was to be done", c)
			}
			result, err := before.Compare(t.Context())
			if err != nil || len(result.Broken()) > 0 || result.Live == 0 || result.Requests == 0 || result.States.N < 3*60 {
				t.Errorf("got %+v (%v), want only events of the live orders and of the replay, and %v", result, err, result.Broken())
			}
			checkMoneyAndMail(t, shop, money, mails)
			shop.Verify(t)
		})
	}
}

// checkMoneyAndMail expects that a redelivery has moved no money and sent no mail. The live orders have intents and no payment.
func checkMoneyAndMail(t *testing.T, shop *coretest.Shop, money map[string]int64, mails []inbox.Message) {
	t.Helper()
	after := shop.Stripe.Money()
	maps.DeleteFunc(after, func(id string, received int64) bool { return strings.HasPrefix(id, "pi_live") && received == 0 })
	if diff := cmp.Diff(money, after); diff != "" || len(money) == 0 {
		t.Errorf("money of %d intents and refunds (-before +after):\n%s", len(money), diff)
	}
	if diff := cmp.Diff(mails, shop.Inbox.Messages("")); diff != "" || len(mails) == 0 {
		t.Errorf("%d mails (-before +after):\n%s", len(mails), diff)
	}
}

// Row 57 of the fault matrix: a dry run appends nothing, and names exactly the facts that the real run appends, with entity, type
// and body: none for a complete history, and the missing ones of an order whose event is a dead letter.
func TestDryRunNamesWhatTheReplayAppends(t *testing.T) {
	t.Parallel()
	c := &clock{}
	shop := coretest.Open(t, coretest.Config{Now: c.now})
	shop.Stock(t, "LAMP", 5)
	stop := shop.Run(t)
	place(t, shop, "paid")
	shop.Settle(t)
	if err := shop.Stripe.Pay(t.Context(), "paid"); err != nil {
		t.Fatal(err)
	}
	shop.Await(t, "paid", orders.Confirmed)
	shop.Settle(t)
	stop()
	stop = runBroken(t, shop, false)
	place(t, shop, "stuck")
	proc.WaitFor(t, "the reservation is a dead letter of orders", time.Minute, func() bool { return len(shop.DeadLetters(t)) == 1 })
	shop.Settle(t)
	stop()

	replays, reader, dispatcher := replaysOf(t, shop)
	if err := worker.PauseLane(t.Context(), reader.Log(), "payments.stripe", time.Time{}, author); err != nil { // acts append facts that no dry run knows
		t.Fatal(err)
	}
	shop.Run(t)
	options := replay.ReplayOptions{Lanes: coretest.Domains}
	plan, err := replays.Plan(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	before, dry, want := shop.EventCount(t), dispatcher.NewDryRun(), []string(nil)
	err = replays.EachPlanned(t.Context(), plan, 10, func(deliveries []worker.Delivery) error {
		all, err := dry.Handle(t.Context(), deliveries...)
		for _, effects := range all {
			for _, f := range effects.Facts {
				want = append(want, fact(f.Subject, f.Type, f.Body))
			}
		}
		return err
	})
	if err != nil || len(want) == 0 || before != shop.EventCount(t) {
		t.Fatalf("dry run: got %d facts (%v) and %d events, want facts and still %d events", len(want), err, shop.EventCount(t), before)
	}
	for _, f := range want {
		if !strings.Contains(f, "stuck") {
			t.Errorf("got fact %s, want only facts about the order with the dead letter", f)
		}
	}
	run(t, replays, options)
	shop.Settle(t)
	var got []string
	err = reader.Each(t.Context(), replay.Range{From: before + 1}, func(m replay.Message) error {
		if !strings.HasPrefix(m.Subject, "ops.") {
			got = append(got, fact(m.Subject, m.Header.Get(events.HeaderType), m.Data))
		}
		return nil
	})
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("facts (-dry run +real run, %v):\n%s", err, diff)
	}
	if d := shop.DeadLetters(t)[0]; d.State != replay.StateRedriven {
		t.Errorf("dead letter: got %s, want redriven", d.State)
	}
}

func fact(subject, eventType string, body json.RawMessage) string {
	return subject + " " + eventType + " " + string(body)
}

// Events of Stripe are handled again like all others: a payment whose webhooks are replayed stays as it is.
func TestStripeEventsAreReplayed(t *testing.T) {
	t.Parallel()
	shop := shopWithHistory(t, 10, false)
	shop.Run(t)
	replays, _, _ := replaysOf(t, shop)
	done := run(t, replays, replay.ReplayOptions{Types: []string{"payments.webhook_received"}})
	if c := done.Counts; c.Handled == 0 || c.Appended() > 0 || c.Failed > 0 {
		t.Errorf("got %+v, want webhooks handled without effect", c)
	}
	shop.Settle(t)
	shop.Verify(t)
}
