package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/replay"
)

// envelope returns the headers of an event with a type and version.
func envelope(kind, version string) nats.Header {
	return nats.Header{events.HeaderSpecVersion: {"1.0"}, events.HeaderID: {"garbage-" + kind + version}, events.HeaderType: {kind},
		events.HeaderSource: {"unknown"}, events.HeaderTime: {time.Now().UTC().Format(time.RFC3339Nano)}, events.HeaderVersion: {version},
		events.HeaderContentType: {"application/json"}, events.HeaderTopology: {"1"}, events.HeaderActor: {"unknown"}}
}

// garbage returns messages that a client with access to the broker could publish, by name: without the headers of an event,
// with an unknown type or version, or with an invalid body.
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

func TestGarbageInTheLogBecomesDeadLetters(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	ts := openShop(t, config)
	ts.list(t, "MUG", 1250, 10)
	before := ts.place(t, cart("ada", line{"MUG", 1}))
	ts.checkout(t, before)
	published := ts.publishGarbage(t)
	ts.becomeDeadLetters(t, published)
	ts.settle(t, before)
	ts.buy(t, cart("bob", line{"MUG", 2}))
	ts.mailed(t, "bob@example.com", 1)
	ts.stockBecomes(t, "MUG", level{7, 7, 0})
	ts.verify(t, before.ID)
	dead := ts.dead
	ts.close(t)

	// A shop that starts reads the garbage again.
	ts = openShop(t, config)
	ts.dead = dead
	ts.buy(t, cart("cleo", line{"MUG", 3}))
	ts.stockBecomes(t, "MUG", level{4, 4, 0})
	ts.verify(t, before.ID)
}

// publishGarbage publishes all garbage under every prefix, with subjects of no entity and without revisions. It returns the names of
// the messages, by sequence; all must become dead letters.
func (ts *testShop) publishGarbage(t *testing.T) map[uint64]string {
	t.Helper()
	js := jetStreamOf(t, ts.NATS)
	published := map[uint64]string{}
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
			published[ack.Sequence] = prefix + name
		}
	}
	return published
}

// becomeDeadLetters waits until every message of the garbage is a dead letter and no lane has a backlog. It fails if another
// event is a dead letter, or if one has no reason.
func (ts *testShop) becomeDeadLetters(t *testing.T, published map[uint64]string) {
	t.Helper()
	missing := maps.Clone(published)
	defer func() {
		for at, name := range missing {
			t.Errorf("%s at sequence %d is no dead letter", name, at)
		}
	}()
	waitFor(t, "all garbage is dead letters", func() bool {
		for _, d := range ts.deadLetters(t) {
			maps.DeleteFunc(missing, func(sequence uint64, _ string) bool { return d.About(sequence) })
		}
		return len(missing) == 0 && ts.backlog(t) == 0
	})
	for _, d := range ts.deadLetters(t) {
		if _, expected := published[d.Sequence]; !expected || d.Error == "" || d.Fingerprint == "" || d.Worker == "" {
			t.Errorf("unexpected dead letter, or one without a reason: %+v", d)
		}
		ts.dead = append(ts.dead, invariants.DeadLetter{Lane: d.Worker, Sequence: d.Sequence})
	}
}

func (ts *testShop) deadLetters(t *testing.T) []replay.DeadLetter {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	letters, err := ts.log.DeadLetters(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

// backlog returns how many events the lanes have not handled, by their checkpoints. It is never too low.
func (ts *testShop) backlog(t *testing.T) (n uint64) {
	t.Helper()
	lanes, err := ts.log.Lanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lanes {
		n += l.Lag + uint64(len(l.Open))
	}
	return n
}

// flood is how many garbage messages arrive at once. The command that measures is
//
//	GARBAGE=100000 go test ./cmd/shop -run GarbageFlood -v
func flood(t *testing.T) int {
	t.Helper()
	text := cmp.Or(os.Getenv("GARBAGE"), "10000")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		t.Fatalf("GARBAGE=%s: want a number from 1000 on", text)
	}
	return n
}

// Row 67 of the fault matrix: an order behind many garbage messages is confirmed as fast as without them. Orders that are placed
// while they arrive are confirmed too; each of their commits waits for the messages that the broker has yet to store. The dead
// letters are few, and name every message.
func TestGarbageFloodDelaysNoOrder(t *testing.T) {
	t.Parallel()
	n := flood(t)
	ts := openShop(t, testConfig(t, nil))
	defer ts.close(t)
	ts.list(t, "MUG", 1250, 100_000)
	ts.buy(t, cart("ada", line{"MUG", 1}))
	started := time.Now()
	ts.buy(t, cart("ada", line{"MUG", 1}))
	bound := max(10*time.Second, 20*time.Since(started)) // a second, on a machine without other work
	started = time.Now()
	published := make(chan error, 1)
	go func() { published <- publishFlood(t, ts.NATS, n) }()
	slowest := time.Duration(0)
	orders := 0
	for arriving := true; arriving; {
		select {
		case err := <-published:
			if err != nil {
				t.Fatal(err)
			}
			arriving = false
		default:
		}
		placed := time.Now()
		ts.buy(t, cart(fmt.Sprintf("bob%d", orders), line{"MUG", 1})) // each their own: mails per recipient are limited
		slowest = max(slowest, time.Since(placed))
		orders++
	}
	last := time.Now()
	ts.buy(t, cart("cleo", line{"MUG", 1}))
	behind := time.Since(last)
	t.Logf("%d garbage messages in %s; %d orders meanwhile, the slowest confirmed after %s; the order behind them after %s",
		n, last.Sub(started).Round(time.Millisecond), orders, slowest.Round(time.Millisecond), behind.Round(time.Millisecond))
	if behind > bound {
		t.Errorf("the order behind the garbage was confirmed after %s, want at most %s", behind, bound)
	}
	waitFor(t, "the lanes have handled everything", func() bool { return ts.backlog(t) == 0 })
	letters := ts.deadLetters(t)
	named := map[uint64]bool{}
	for _, d := range letters {
		for _, r := range append(d.Runs, events.Run{From: d.Sequence, To: d.Sequence}) {
			for sequence := range r.To - r.From + 1 {
				named[r.From+sequence] = true
			}
		}
	}
	// Three lanes write about ten a second, so their number depends on how long the garbage takes to arrive.
	if most := n/20 + 40*(1+int(last.Sub(started).Seconds())); len(named) != n || len(letters) > most {
		t.Errorf("got %d dead letters about %d messages, want at most %d about all %d", len(letters), len(named), most, n)
	}
	t.Logf("%d dead letters", len(letters))
}

// publishFlood publishes garbage as fast as a client can: messages without an envelope, and events of each domain with an
// unreadable body, which several lanes handle.
func publishFlood(t *testing.T, url string, n int) error {
	js := jetStreamOf(t, url)
	kinds := []nats.Msg{
		{Subject: events.PrefixOrder, Data: []byte("{garbage")},
		{Subject: events.PrefixOrder, Header: envelope("orders.placed", "1"), Data: []byte(`{"order_id":`)},
		{Subject: events.PrefixPayment, Header: envelope("payments.requested", "1"), Data: []byte(`{"payment_id":7}`)},
		{Subject: events.PrefixNotification, Header: envelope("notifications.queued", "1"), Data: []byte(`{"to":7}`)},
	}
	for _, kind := range kinds[1:] {
		kind.Header.Set(events.HeaderRevision, "1")
	}
	for i := range n {
		msg := kinds[i%len(kinds)]
		msg.Subject += fmt.Sprintf("garbage%d", i)
		if _, err := js.PublishMsgAsync(&msg); err != nil {
			return err
		}
		if i%100 == 99 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	return nil
}
