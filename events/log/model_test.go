package log_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// deafDialer makes connections that can lose an answer: what the broker says next is thrown away with the connection.
type deafDialer struct{ deaf atomic.Bool }

func (d *deafDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), network, address)
	return &deafConn{Conn: conn, dialer: d}, err
}

type deafConn struct {
	net.Conn
	dialer *deafDialer
}

func (c *deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.dialer.deaf.CompareAndSwap(true, false) {
		return 0, errors.Join(io.EOF, c.Close())
	}
	return n, err
}

// modelWorld is a log as two processes see it, one of them over a bad line, beside a model of it: how many events each
// entity has. Entities are named anew for every run.
type modelWorld struct {
	line   *deafDialer
	logs   []*log.Log
	hasty  *log.Log      // on the bad line too: gives up before a try that went unanswered is repeated
	losses *atomic.Int64 // answers that may still be lost, in all runs: each takes as long as a try
	run    string
	events map[string]int
	open   []*openTx
}

// openTx is a transaction that has begun, with what it saw and wrote.
type openTx struct {
	tx    *log.Tx
	seen  map[string]int
	wrote map[string]int
}

// hastyPatience ends long before a second try would begin, and long after an answer that is not lost has come.
const hastyPatience = 300 * time.Millisecond

// Whatever transactions of two processes do to each other, and whichever answers get lost: what was acknowledged is there
// once, what was refused is not there, a refusal has its reason, and every reader reads the same.
func TestTheLogAgreesWithItsModel(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	line, losses := &deafDialer{}, &atomic.Int64{}
	losses.Store(6)
	conn, err := nats.Connect(server.URL(), nats.SetCustomDialer(line), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(5*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	bad := logtest.OpenOver(t, conn, func(c *log.Config) { c.Source, c.CacheSize = "bad line", 3 })
	hasty := logtest.OpenOver(t, conn, func(c *log.Config) { c.Source, c.CacheSize, c.Patience = "hasty", 3, hastyPatience })
	logs := []*log.Log{bad, logtest.OpenOn(t, server)}
	var runs atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		w := &modelWorld{line: line, logs: logs, hasty: hasty, losses: losses, run: fmt.Sprintf("run-%d", runs.Add(1)), events: map[string]int{}}
		t.Repeat(map[string]func(*rapid.T){
			"begin": w.begin, "append": w.append, "look": w.look, "commit": w.commit, "at once": w.atOnce, "lose an answer": w.lose,
			"everybody reads": w.check, // not after every step: then nobody would remember anything old
		})
		w.check(t)
	})
}

func (w *modelWorld) log(t *rapid.T) *log.Log { return rapid.SampledFrom(w.logs).Draw(t, "log") }

func (w *modelWorld) entity(t *rapid.T) string {
	return w.run + "-" + rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "entity")
}

func (w *modelWorld) begin(t *rapid.T) {
	if len(w.open) == 3 {
		t.Skip("enough of them")
	}
	w.open = append(w.open, &openTx{tx: w.log(t).Begin(context.Background()), seen: map[string]int{}, wrote: map[string]int{}})
}

func (w *modelWorld) some(t *rapid.T) *openTx {
	if len(w.open) == 0 {
		t.Skip("none has begun")
	}
	return rapid.SampledFrom(w.open).Draw(t, "transaction")
}

// look loads an entity: what a transaction sees includes what it wrote itself.
func (w *modelWorld) look(t *rapid.T) { w.load(t, w.some(t), w.entity(t)) }

func (w *modelWorld) load(t *rapid.T, o *openTx, id string) {
	state, err := tallies.Load(o.tx, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, again := o.seen[id]; !again {
		o.seen[id] = state.Events
	}
	if state.Events != o.seen[id]+o.wrote[id] || o.seen[id] > w.events[id] {
		t.Fatalf("%s has %d events, seen %d and wrote %d of %d", id, state.Events, o.seen[id], o.wrote[id], w.events[id])
	}
}

func (w *modelWorld) append(t *rapid.T) {
	o, id := w.some(t), w.entity(t)
	w.load(t, o, id)
	if err := tallies.Append(o.tx, id, plus(1)); err != nil {
		t.Fatal(err)
	}
	o.wrote[id]++
}

// commit ends a transaction. It must succeed when nothing that it saw has moved on, and must not when something that it
// wrote has.
func (w *modelWorld) commit(t *rapid.T) {
	if len(w.open) == 0 {
		t.Skip("none has begun")
	}
	i := rapid.IntRange(0, len(w.open)-1).Draw(t, "transaction")
	o := w.open[i]
	w.open = append(w.open[:i], w.open[i+1:]...)
	moved, overtaken := false, false
	for id, seen := range o.seen {
		moved = moved || seen != w.events[id]
		overtaken = overtaken || seen != w.events[id] && o.wrote[id] > 0
	}
	switch err := o.tx.Commit(); {
	case err == nil && overtaken:
		t.Fatalf("stored on an old state: saw %v of %v", o.seen, w.events)
	case err == nil:
		for id, n := range o.wrote {
			w.events[id] += n
		}
	case !log.IsConflict(err):
		t.Fatal(err)
	case !moved:
		t.Fatalf("refused without a reason: saw %v of %v", o.seen, w.events)
	}
}

func (w *modelWorld) atOnce(t *rapid.T) {
	id := w.entity(t)
	if err := w.log(t).Do(context.Background(), func(tx *log.Tx) error { return add(tx, id, 1) }); err != nil {
		t.Fatal(err)
	}
	w.events[id]++
}

// lose has the answer to a commit thrown away. A process that is patient finds it in the log, once, as if it had been
// heard. One that gives up is told nothing, and it is there whole or not at all, but never twice.
func (w *modelWorld) lose(t *rapid.T) {
	if w.losses.Add(-1) < 0 {
		t.Skip("enough were lost")
	}
	loser, ids := w.logs[0], []string{w.entity(t)}
	if rapid.Bool().Draw(t, "gives up") {
		loser = w.hasty
	}
	if rapid.Bool().Draw(t, "two entities") {
		ids = append(ids, w.run+"-z")
	}
	for _, id := range ids { // so that nothing is asked but the commit itself
		w.read(t, loser, id)
	}
	err := loser.Do(context.Background(), func(tx *log.Tx) error {
		for _, id := range ids {
			if err := add(tx, id, 1); err != nil {
				return err
			}
		}
		w.line.deaf.Store(true)
		return nil
	})
	w.line.deaf.Store(false)
	if err != nil && (loser != w.hasty || !errors.Is(err, log.ErrUnavailable)) {
		t.Fatal(err)
	}
	// The broker takes one after the other: when this is stored, nothing that was sent before is still on its way.
	if fenceErr := w.logs[0].Do(context.Background(), func(tx *log.Tx) error { return add(tx, w.run+"-fence", 1) }); fenceErr != nil {
		t.Fatal(fenceErr)
	}
	w.events[w.run+"-fence"]++
	extras := map[int]bool{}
	for _, id := range ids {
		now := w.read(t, w.logs[1], id)
		extras[now-w.events[id]] = true
		w.events[id] = now
	}
	if len(extras) != 1 || !extras[1] && (err == nil || !extras[0]) {
		t.Fatalf("after a lost answer (%v) %v have %v events more", err, ids, extras)
	}
}

func (w *modelWorld) read(t *rapid.T, l *log.Log, id string) int {
	state, _, err := tallies.Read(context.Background(), l, id)
	for l == w.hasty && errors.Is(err, log.ErrUnavailable) { // on a slow machine
		state, _, err = tallies.Read(context.Background(), l, id)
	}
	if err != nil && !errors.Is(err, log.ErrNotFound) {
		t.Fatal(err)
	}
	return state.Events
}

// check reads everything in both processes.
func (w *modelWorld) check(t *rapid.T) {
	for id, n := range w.events {
		for _, l := range w.logs {
			if got := w.read(t, l, id); got != n {
				t.Fatalf("%s has %d events, want %d", id, got, n)
			}
		}
	}
}
