package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// The maximum cost of one purchase of two lines, from checkout to e-mail, while no other shopper buys: events that are written,
// messages that the broker delivers to the shop, and commits, each of which waits for the disk.
const (
	eventsPerPurchase     = 19
	deliveriesPerPurchase = 20
	commitsPerPurchase    = 9
)

// An event is written once and read once, for all domains, and a cascade within the process shares its commit. Readers do not
// acknowledge, which would be another write for each message.
func TestPurchaseStaysWithinItsCost(t *testing.T) {
	const purchases = 20
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 1000)
	ts.list(t, "LAMP", 6400, 1000)
	ts.purchase(t, 0) // not counted: it has one-time costs, such as the connection to the mail server
	before, from := ts.spent(t), ts.lastSequence(t)
	for i := range purchases {
		ts.purchase(t, i+1)
	}
	after := ts.spent(t)
	for _, c := range []struct {
		what string
		most float64
		cost float64
	}{
		{"events", eventsPerPurchase, after.events - before.events},
		{"deliveries", deliveriesPerPurchase, after.deliveries - before.deliveries},
		{"commits", commitsPerPurchase, after.commits - before.commits},
	} {
		t.Logf("%.2f %s per purchase", c.cost/purchases, c.what)
		if c.cost > c.most*purchases {
			t.Errorf("%.2f %s per purchase, want %v at most", c.cost/purchases, c.what, c.most)
		}
	}
	ts.logPurchase(t, from+1)
	acknowledgesNothing(t, ts)
}

// purchase buys two items and returns when nothing is left to do: the log has the sent e-mail, and Stripe has delivered all
// webhooks.
func (ts *testShop) purchase(t *testing.T, i int) {
	t.Helper()
	o := ts.buy(t, cart(fmt.Sprintf("buyer-%d", i), line{"MUG", 2}, line{"LAMP", 1}))
	waitFor(t, "the e-mail is sent", func() bool {
		sent, err := ts.log.Newest(t.Context(), events.PrefixNotification+o.ID)
		return err == nil && sent.Type() == events.MessageSent{}.EventType()
	})
	waitFor(t, "Stripe has delivered all webhooks", func() bool {
		var page struct {
			Data []struct {
				PendingWebhooks int `json:"pending_webhooks"`
			}
		}
		ts.stripe(t, http.MethodGet, "/v1/events?limit=20", ts.StripeSecretKey, nil).into(t, http.StatusOK, &page)
		for _, e := range page.Data {
			if e.PendingWebhooks > 0 {
				return false
			}
		}
		return true
	})
}

// spending is the cost since the shop opened.
type spending struct{ events, deliveries, commits float64 }

func (ts *testShop) spent(t *testing.T) spending {
	t.Helper()
	waitFor(t, "no lane has a backlog", func() bool { return ts.backlog(t) == 0 })
	metrics := ts.get(t, "/metrics", "")
	value := func(name string) float64 {
		t.Helper()
		for line := range strings.Lines(string(metrics.Body)) {
			if text, ok := strings.CutPrefix(line, name+" "); ok {
				n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatalf("no metric %s", name)
		return 0
	}
	return spending{events: value("tillstream_log_facts_total"), deliveries: value("tillstream_log_deliveries_total"),
		commits: value("tillstream_log_batch_facts_count")}
}

func (ts *testShop) lastSequence(t *testing.T) uint64 {
	t.Helper()
	last, err := ts.log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// logPurchase logs the events of one purchase, which show why a purchase costs more.
func (ts *testShop) logPurchase(t *testing.T, from uint64) {
	t.Helper()
	for sequence := from; sequence < from+eventsPerPurchase; sequence++ {
		event, err := ts.log.Get(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d %s %s", sequence, event.Stored.Format("05.000000"), event.Type())
	}
}

// acknowledgesNothing fails if a consumer of the log acknowledges messages.
func acknowledgesNothing(t *testing.T, ts *testShop) {
	t.Helper()
	stream, err := jetStreamOf(t, ts.NATS).Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	readers := 0
	consumers := stream.ListConsumers(t.Context())
	for c := range consumers.Info() {
		readers++
		if c.Config.AckPolicy != jetstream.AckNonePolicy {
			t.Errorf("consumer %s has the policy %s, want none", c.Name, c.Config.AckPolicy)
		}
	}
	if err := consumers.Err(); err != nil || readers == 0 {
		t.Errorf("%d consumers (%v), want some", readers, err)
	}
}
