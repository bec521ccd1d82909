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

// What one purchase of two lines may cost at most, from the checkout to the mail, when nobody else buys anything: facts that
// are written, messages that the broker delivers to the shop, and commits, each of which waits for the disk.
const (
	factsPerPurchase      = 19
	deliveriesPerPurchase = 20
	commitsPerPurchase    = 9
)

// TestAPurchaseCosts: a fact is written once and read once, however many domains it concerns, and what follows from it
// within the process shares its commit. Nothing is acknowledged to the broker, which is a write of its own for each.
func TestAPurchaseCosts(t *testing.T) {
	const purchases = 20
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 1000)
	m.list(t, "LAMP", 6400, 1000)
	m.purchase(t, 0) // what happens but once, such as connecting to the mail server, is not counted
	before, from := m.spent(t), m.lastSequence(t)
	for i := range purchases {
		m.purchase(t, i+1)
	}
	after := m.spent(t)
	for _, c := range []struct {
		what string
		most float64
		cost float64
	}{
		{"facts", factsPerPurchase, after.facts - before.facts},
		{"deliveries", deliveriesPerPurchase, after.deliveries - before.deliveries},
		{"commits", commitsPerPurchase, after.commits - before.commits},
	} {
		t.Logf("%.2f %s per purchase", c.cost/purchases, c.what)
		if c.cost > c.most*purchases {
			t.Errorf("%.2f %s per purchase, want %v at most", c.cost/purchases, c.what, c.most)
		}
	}
	m.logPurchase(t, from+1)
	acknowledgesNothing(t, m)
}

// purchase buys two things and returns when nothing more comes of it: the mail is sent and the log says so, and Stripe has
// delivered all of its webhooks.
func (m *testShop) purchase(t *testing.T, i int) {
	t.Helper()
	o := m.buy(t, cart(fmt.Sprintf("buyer-%d", i), line{"MUG", 2}, line{"LAMP", 1}))
	waitFor(t, "the mail is sent", func() bool {
		sent, err := m.log.Newest(t.Context(), events.PrefixNotification+o.ID)
		return err == nil && sent.Type() == events.MessageSent{}.EventType()
	})
	waitFor(t, "Stripe has said everything", func() bool {
		var said struct {
			Data []struct {
				PendingWebhooks int `json:"pending_webhooks"`
			}
		}
		m.stripe(t, http.MethodGet, "/v1/events?limit=20", m.StripeSecretKey, nil).into(t, http.StatusOK, &said)
		for _, e := range said.Data {
			if e.PendingWebhooks > 0 {
				return false
			}
		}
		return true
	})
}

// spending is what the shop has spent since it opened.
type spending struct{ facts, deliveries, commits float64 }

func (m *testShop) spent(t *testing.T) spending {
	t.Helper()
	waitFor(t, "the shop has read everything", func() bool { return m.backlog(t) == 0 })
	metrics := m.get(t, "/metrics", "")
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
	return spending{facts: value("tillstream_log_facts_total"), deliveries: value("tillstream_log_deliveries_total"),
		commits: value("tillstream_log_batch_facts_count")}
}

func (m *testShop) lastSequence(t *testing.T) uint64 {
	t.Helper()
	last, err := m.log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// logPurchase writes down the facts of one purchase, for whoever finds that it costs too much.
func (m *testShop) logPurchase(t *testing.T, from uint64) {
	t.Helper()
	for sequence := from; sequence < from+factsPerPurchase; sequence++ {
		fact, err := m.log.Get(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d %s %s", sequence, fact.Stored.Format("05.000000"), fact.Type())
	}
}

// acknowledgesNothing expects that nobody who reads the log acknowledges what is read.
func acknowledgesNothing(t *testing.T, m *testShop) {
	t.Helper()
	log, err := jetStreamOf(t, m.NATS).Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	readers := 0
	consumers := log.ListConsumers(t.Context())
	for c := range consumers.Info() {
		readers++
		if c.Config.AckPolicy != jetstream.AckNonePolicy {
			t.Errorf("consumer %s acknowledges: %s", c.Name, c.Config.AckPolicy)
		}
	}
	if err := consumers.Err(); err != nil || readers == 0 {
		t.Errorf("%d consumers read the log: %v", readers, err)
	}
}
