package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/replay"
)

// envelope is the headers of an event of a type that says it is of a version.
func envelope(kind, version string) nats.Header {
	return nats.Header{events.HeaderSpecVersion: {"1.0"}, events.HeaderID: {"garbage-" + kind + version}, events.HeaderType: {kind},
		events.HeaderSource: {"nobody"}, events.HeaderTime: {time.Now().UTC().Format(time.RFC3339Nano)}, events.HeaderVersion: {version},
		events.HeaderContentType: {"application/json"}, events.HeaderTopology: {"1"}, events.HeaderActor: {"nobody"}}
}

// garbage is what somebody with access to the broker might publish, by name: without the headers of an event, with those
// of none of ours, of ours from the future, or with a body that is not what its type promises.
func garbage(kind string) map[string]*nats.Msg {
	return map[string]*nats.Msg{
		"bytes":    {Data: []byte{0, 1, 2, 0xff}},
		"nothing":  {},
		"unknown":  {Header: envelope("orders.teleported", "1"), Data: []byte(`{}`)},
		"future":   {Header: envelope(kind, "99"), Data: []byte(`{}`)},
		"noJSON":   {Header: envelope(kind, "1"), Data: []byte(`{"order_id":`)},
		"badTypes": {Header: envelope(kind, "1"), Data: []byte(`{"order_id":42,"amount":"much"}`)},
		"large":    {Header: envelope(kind, "1"), Data: fmt.Appendf(nil, `{"order_id":%q`, make([]byte, 200<<10))},
	}
}

func TestGarbageInTheLog(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	m := openShop(t, config)
	m.list(t, "MUG", 1250, 10)
	before := m.place(t, cart("ada", line{"MUG", 1}))
	m.checkout(t, before)
	thrown := m.throwIn(t)
	m.setAside(t, thrown)
	m.settle(t, before)
	m.buy(t, cart("bob", line{"MUG", 2}))
	m.mailed(t, "bob@example.com", 1)
	m.stockBecomes(t, "MUG", level{7, 7, 0})
	m.verify(t, before.ID)
	dead := m.dead
	m.close(t)

	// A shop that starts on such a log reads over the garbage once more.
	m = openShop(t, config)
	m.dead = dead
	m.buy(t, cart("cleo", line{"MUG", 3}))
	m.stockBecomes(t, "MUG", level{4, 4, 0})
	m.verify(t, before.ID)
}

// unheard are the prefixes under which no worker acts on an event: one whose payload cannot be read is passed over there by
// those who read along. What is no event of the shop at all is set aside under every prefix.
var unheard = []string{events.PrefixItem, events.PrefixStock}

// throwIn publishes all the garbage under every prefix, as subjects that no entity of ours has, and returns the name of what
// has to become a dead letter, by its sequence.
func (m *testShop) throwIn(t *testing.T) map[uint64]string {
	t.Helper()
	conn, err := nats.Connect(m.NATS)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	thrown := map[uint64]string{}
	for prefix, kind := range map[string]string{events.PrefixOrder: "orders.placed", events.PrefixPayment: "payments.captured",
		events.PrefixReservation: "inventory.reservation_held", events.PrefixItem: "inventory.item_changed", events.PrefixStock: "inventory.stock_adjusted",
		events.PrefixNotification: "notifications.queued"} {
		kinds := garbage(kind)
		for _, name := range slices.Sorted(maps.Keys(kinds)) {
			msg := kinds[name]
			msg.Subject = prefix + "garbage"
			ack, err := js.PublishMsg(t.Context(), msg)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(unheard, prefix) || !events.IsKnown(msg.Header.Get(events.HeaderType)) {
				thrown[ack.Sequence] = prefix + name
			}
		}
	}
	return thrown
}

// setAside waits until all garbage is a dead letter and no lane has anything left to do, and expects a reason for each, and
// nothing else to be a dead letter.
func (m *testShop) setAside(t *testing.T, thrown map[uint64]string) {
	t.Helper()
	missing := maps.Clone(thrown)
	defer func() {
		for at, name := range missing {
			t.Errorf("%s at %d was set aside by nobody", name, at)
		}
	}()
	waitFor(t, "all garbage is set aside", func() bool {
		for _, d := range m.deadLetters(t) {
			delete(missing, d.Sequence)
		}
		return len(missing) == 0 && m.backlog(t) == 0
	})
	for _, d := range m.deadLetters(t) {
		if _, ours := thrown[d.Sequence]; !ours || d.Error == "" || d.Fingerprint == "" || d.Worker == "" {
			t.Errorf("dead letter: %+v", d)
		}
		m.dead = append(m.dead, invariants.DeadLetter{Lane: d.Worker, Sequence: d.Sequence})
	}
}

func (m *testShop) deadLetters(t *testing.T) []replay.DeadLetter {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	letters, err := m.log.DeadLetters(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

// backlog is how many events still wait for lanes, by what the lanes have written down: never too few.
func (m *testShop) backlog(t *testing.T) (n uint64) {
	t.Helper()
	lanes, err := m.log.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lanes {
		n += l.Lag + uint64(len(l.Open))
	}
	return n
}
