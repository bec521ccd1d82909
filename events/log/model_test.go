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

	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// lossyDialer opens connections that can lose an answer: the next data from the broker is discarded and the connection closed.
type lossyDialer struct{ loseNext atomic.Bool }

func (d *lossyDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), network, address)
	return &lossyConn{Conn: conn, dialer: d}, err
}

type lossyConn struct {
	net.Conn
	dialer *lossyDialer
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.dialer.loseNext.CompareAndSwap(true, false) {
		return 0, errors.Join(io.EOF, c.Close())
	}
	return n, err
}

// logModel is a log as two processes see it, one of them over a lossy connection, and a model of it: how many events each
// entity has. Each run has its own entities.
type logModel struct {
	dialer    *lossyDialer
	logs      []*eventlog.Log // the first one is on the lossy connection
	impatient *eventlog.Log   // also on the lossy connection; gives up before it repeats an unanswered try
	losses    *atomic.Int64   // answers that may still be lost, in all runs: each costs the duration of a try
	run       string
	events    map[string]int
	open      []*openTx
}

// openTx is a transaction that has begun, with how many events it has loaded and appended by entity.
type openTx struct {
	tx       *eventlog.Tx
	loaded   map[string]int
	appended map[string]int
}

// shortPatience ends long before a second try begins, and long after an answer that is not lost has arrived.
const shortPatience = 300 * time.Millisecond

// Two processes commit random transactions, and some answers are lost. An acknowledged event is stored once, a refused one is not
// stored, a commit is refused only for a conflict, and all processes read the same.
func TestLogAgreesWithItsModel(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	dialer, losses := &lossyDialer{}, &atomic.Int64{}
	losses.Store(6)
	conn, err := nats.Connect(server.URL(), nats.SetCustomDialer(dialer), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(5*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	lossy := logtest.OpenOver(t, conn, func(c *eventlog.Config) { c.Source, c.CacheSize = "lossy", 3 })
	impatient := logtest.OpenOver(t, conn, func(c *eventlog.Config) { c.Source, c.CacheSize, c.Patience = "impatient", 3, shortPatience })
	logs := []*eventlog.Log{lossy, logtest.OpenOn(t, server)}
	var runs atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		m := &logModel{dialer: dialer, logs: logs, impatient: impatient, losses: losses, run: fmt.Sprintf("run-%d", runs.Add(1)), events: map[string]int{}}
		t.Repeat(map[string]func(*rapid.T){
			"begin": m.begin, "append": m.append, "load": m.loadOne, "commit": m.commit, "do": m.do, "lose an answer": m.loseAnswer,
			"read all": m.check, // not after every step, which would keep every cached state new
		})
		m.check(t)
	})
}

func (m *logModel) log(t *rapid.T) *eventlog.Log { return rapid.SampledFrom(m.logs).Draw(t, "log") }

func (m *logModel) entity(t *rapid.T) string {
	return m.run + "-" + rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "entity")
}

func (m *logModel) begin(t *rapid.T) {
	if len(m.open) == 3 {
		t.Skip("three transactions are open")
	}
	m.open = append(m.open, &openTx{tx: m.log(t).Begin(context.Background()), loaded: map[string]int{}, appended: map[string]int{}})
}

func (m *logModel) anyOpen(t *rapid.T) *openTx {
	if len(m.open) == 0 {
		t.Skip("no transaction is open")
	}
	return rapid.SampledFrom(m.open).Draw(t, "transaction")
}

// loadOne loads an entity: the loaded state includes the transaction's own events.
func (m *logModel) loadOne(t *rapid.T) { m.load(t, m.anyOpen(t), m.entity(t)) }

func (m *logModel) load(t *rapid.T, o *openTx, id string) {
	state, err := tallies.Load(o.tx, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, again := o.loaded[id]; !again {
		o.loaded[id] = state.Events
	}
	if state.Events != o.loaded[id]+o.appended[id] || o.loaded[id] > m.events[id] {
		t.Fatalf("load %s: got %d events; loaded before: %d, appended: %d, stored: %d", id, state.Events, o.loaded[id], o.appended[id], m.events[id])
	}
}

func (m *logModel) append(t *rapid.T) {
	o, id := m.anyOpen(t), m.entity(t)
	m.load(t, o, id)
	if err := tallies.Append(o.tx, id, plus(1)); err != nil {
		t.Fatal(err)
	}
	o.appended[id]++
}

// commit commits a transaction. It must succeed when no loaded entity has newer events, and must not when an entity with
// appended events has.
func (m *logModel) commit(t *rapid.T) {
	if len(m.open) == 0 {
		t.Skip("no transaction is open")
	}
	i := rapid.IntRange(0, len(m.open)-1).Draw(t, "transaction")
	o := m.open[i]
	m.open = append(m.open[:i], m.open[i+1:]...)
	stale, conflict := false, false
	for id, loaded := range o.loaded {
		stale = stale || loaded != m.events[id]
		conflict = conflict || loaded != m.events[id] && o.appended[id] > 0
	}
	switch err := o.tx.Commit(); {
	case err == nil && conflict:
		t.Fatalf("commit on an old state: got no error, want a conflict; loaded %v of %v", o.loaded, m.events)
	case err == nil:
		for id, n := range o.appended {
			m.events[id] += n
		}
	case !eventlog.IsConflict(err):
		t.Fatal(err)
	case !stale:
		t.Fatalf("commit on the newest state: got a conflict, want no error; loaded %v of %v", o.loaded, m.events)
	}
}

// do runs a whole transaction.
func (m *logModel) do(t *rapid.T) {
	id := m.entity(t)
	if err := m.log(t).Do(context.Background(), func(tx *eventlog.Tx) error { return add(tx, id, 1) }); err != nil {
		t.Fatal(err)
	}
	m.events[id]++
}

// loseAnswer discards the answer to a commit. A patient process finds its events in the log and returns no error. A process
// that gives up returns ErrUnavailable, and its events are stored whole or not at all, but never twice.
func (m *logModel) loseAnswer(t *rapid.T) {
	if m.losses.Add(-1) < 0 {
		t.Skip("no more answers may be lost")
	}
	loser, ids := m.logs[0], []string{m.entity(t)}
	if rapid.Bool().Draw(t, "gives up") {
		loser = m.impatient
	}
	if rapid.Bool().Draw(t, "two entities") {
		ids = append(ids, m.run+"-z")
	}
	for _, id := range ids { // so that the transaction reads from the cache and its only request is the commit
		m.read(t, loser, id)
	}
	err := loser.Do(context.Background(), func(tx *eventlog.Tx) error {
		for _, id := range ids {
			if err := add(tx, id, 1); err != nil {
				return err
			}
		}
		m.dialer.loseNext.Store(true)
		return nil
	})
	m.dialer.loseNext.Store(false)
	if err != nil && (loser != m.impatient || !errors.Is(err, eventlog.ErrUnavailable)) {
		t.Fatal(err)
	}
	// The broker handles messages in order: when this is stored, all that was sent before has been handled.
	if fenceErr := m.logs[0].Do(context.Background(), func(tx *eventlog.Tx) error { return add(tx, m.run+"-fence", 1) }); fenceErr != nil {
		t.Fatal(fenceErr)
	}
	m.events[m.run+"-fence"]++
	added := map[int]bool{}
	for _, id := range ids {
		now := m.read(t, m.logs[1], id)
		added[now-m.events[id]] = true
		m.events[id] = now
	}
	if len(added) != 1 || !added[1] && (err == nil || !added[0]) {
		t.Fatalf("after a lost answer (%v): new events of %v: got %v, want 1 each, or 0 each after an error", err, ids, added)
	}
}

func (m *logModel) read(t *rapid.T, l *eventlog.Log, id string) int {
	state, _, err := tallies.Read(context.Background(), l, id)
	for l == m.impatient && errors.Is(err, eventlog.ErrUnavailable) { // on a slow machine
		state, _, err = tallies.Read(context.Background(), l, id)
	}
	if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
		t.Fatal(err)
	}
	return state.Events
}

// check reads every entity in both processes.
func (m *logModel) check(t *rapid.T) {
	for id, n := range m.events {
		for _, l := range m.logs {
			if got := m.read(t, l, id); got != n {
				t.Fatalf("events of %s: got %d, want %d", id, got, n)
			}
		}
	}
}
