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
		events.HeaderSource: {"nobody"}, events.HeaderTime: {time.Now().UTC().Format(time.RFC3339Nano)}, events.HeaderVersion: {version}}
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
	parked := m.parked
	m.close(t)

	// A shop that starts on such a log reads over the garbage once more.
	m = openShop(t, config)
	m.parked = parked
	m.buy(t, cart("cleo", line{"MUG", 3}))
	m.stockBecomes(t, "MUG", level{4, 4, 0})
	m.verify(t, before.ID)
}

// origin is where in the log garbage lies.
type origin struct {
	stream   string
	sequence uint64
}

// unheard are the subjects that no worker acts on: what is no event there is passed over by those who read along.
var unheard = []string{events.PrefixItem, events.PrefixStock}

// throwIn publishes all the garbage into every stream, under subjects that no entity of ours has, and returns the name of
// what has to be parked.
func (m *market) throwIn(t *testing.T) map[origin]string {
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
	thrown := map[origin]string{}
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
			if !slices.Contains(unheard, prefix) {
				thrown[origin{ack.Stream, ack.Sequence}] = name
			}
		}
	}
	return thrown
}

// setAside waits until all garbage is parked and no worker has anything left to do, and expects a reason for each, and
// nothing else to be parked.
func (m *market) setAside(t *testing.T, thrown map[origin]string) {
	t.Helper()
	missing := maps.Clone(thrown)
	defer func() {
		for at, name := range missing {
			t.Errorf("%s at %s/%d was parked by nobody", name, at.stream, at.sequence)
		}
	}()
	waitFor(t, "all garbage is parked", func() bool {
		for _, p := range m.allParked(t) {
			delete(missing, origin{p.Stream, p.EventParked.Sequence})
		}
		return len(missing) == 0 && m.backlog(t) == 0
	})
	for _, p := range m.allParked(t) {
		if _, ours := thrown[origin{p.Stream, p.EventParked.Sequence}]; !ours || p.Error == "" || p.Fingerprint == "" || p.Worker == "" {
			t.Errorf("parked: %+v", p)
		}
		m.parked = append(m.parked, invariants.Parked{Worker: p.Worker, Stream: p.Stream, Sequence: p.EventParked.Sequence})
	}
}

func (m *market) allParked(t *testing.T) []replay.Parked {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	parked, err := m.log.AllParked(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return parked
}

// backlog is how many events still wait for workers.
func (m *market) backlog(t *testing.T) (n uint64) {
	t.Helper()
	consumers, err := m.log.Consumers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range consumers {
		n += c.Lag()
	}
	return n
}
