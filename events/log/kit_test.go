package log_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// tally is the state of an entity that counts its events, which makes a lost update visible.
type tally struct {
	Events int
	Sum    int64
}

// tallies, sums and balances are entities of StockAdjusted events. tallies and sums are two states of the same subjects;
// every event of balances carries the whole state.
var (
	tallies  = eventlog.Entity[tally]{Prefix: events.PrefixStock, Apply: applyTally}
	sums     = eventlog.Entity[int64]{Prefix: events.PrefixStock, Apply: applySum}
	balances = eventlog.Entity[int64]{Prefix: events.PrefixItem, LastOnly: true, Apply: applyBalance}
)

func applyTally(s tally, e events.Event) (tally, error) {
	adjusted, ok := e.Payload.(events.StockAdjusted)
	if !ok {
		return s, fmt.Errorf("unexpected event %s", e.Type)
	}
	return tally{Events: s.Events + 1, Sum: s.Sum + adjusted.Quantity}, nil
}

func applySum(sum int64, e events.Event) (int64, error) {
	return sum + e.Payload.(events.StockAdjusted).Quantity, nil
}

func applyBalance(_ int64, e events.Event) (int64, error) {
	return e.Payload.(events.StockAdjusted).After.OnHand, nil
}

// confirmations, captures and webhooks belong to two other domains.
var (
	confirmations = eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: countEvents}
	captures      = eventlog.Entity[int]{Prefix: events.PrefixPayment, Apply: countEvents}
	webhooks      = eventlog.Journal{Subject: events.SubjectWebhooks}
)

func countEvents(n int, _ events.Event) (int, error) { return n + 1, nil }

// plus returns an event that adds a quantity to a tally.
func plus(quantity int64) events.StockAdjusted {
	return events.StockAdjusted{StockMovement: events.StockMovement{Location: events.LocationMain, SKU: "A", Quantity: quantity}, Reason: "counted"}
}

// add loads a tally and appends one event to it.
func add(tx *eventlog.Tx, id string, quantity int64) error {
	if _, err := tallies.Load(tx, id); err != nil {
		return err
	}
	return tallies.Append(tx, id, plus(quantity))
}

// addNew is add without reading the tally first.
func addNew(tx *eventlog.Tx, id string) error {
	if _, err := tallies.LoadNew(tx, id); err != nil {
		return err
	}
	return tallies.Append(tx, id, plus(1))
}

// mustAdd appends one event with quantity 1 to each entity, in a transaction of its own.
func mustAdd(t *testing.T, l *eventlog.Log, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, id, 1) }); err != nil {
			t.Fatalf("append to %s: %v", id, err)
		}
	}
}

// twoLogs opens the logs of two processes on one server.
func twoLogs(t *testing.T) (ours, theirs *eventlog.Log) {
	t.Helper()
	broker := logtest.Server(t)
	return logtest.OpenOn(t, broker), logtest.OpenOn(t, broker)
}

// staleCache opens two logs on one server. Each has appended to "a", so ours has cached the first of its two events.
func staleCache(t *testing.T) (ours, theirs *eventlog.Log) {
	t.Helper()
	ours, theirs = twoLogs(t)
	mustAdd(t, ours, "a")
	mustAdd(t, theirs, "a")
	return ours, theirs
}

// expectTally asserts the state of a tally.
func expectTally(t *testing.T, l *eventlog.Log, id string, want tally) {
	t.Helper()
	if got, _, err := tallies.Read(t.Context(), l, id); err != nil || got != want {
		t.Errorf("read %s: got %+v, %v; want %+v", id, got, err, want)
	}
}

// expectStored asserts how many messages SHOP holds.
func expectStored(t *testing.T, l *eventlog.Log, want int) {
	t.Helper()
	if got := int(messages(t, l)); got != want {
		t.Errorf("messages in the log: got %d, want %d", got, want)
	}
}

// messages returns how many messages SHOP holds.
func messages(t *testing.T, l *eventlog.Log) uint64 {
	t.Helper()
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

// sentMessages returns how many messages a log has sent to its broker.
func sentMessages(l *eventlog.Log) int { return int(l.JetStream().Conn().Stats().OutMsgs) }

// until polls until a condition holds.
func until(t *testing.T, condition string, holds func() bool) {
	t.Helper()
	const patience = time.Minute
	poll, timeout := time.NewTicker(2*time.Millisecond), time.After(patience)
	defer poll.Stop()
	for !holds() {
		select {
		case <-poll.C:
		case <-timeout:
			t.Fatalf("timed out after %s waiting until %s", patience, condition)
		}
	}
}

// logLines collects what a logger writes.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements [io.Writer].
func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logLines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// startServer starts a nats-server with options that the shop's own server does not set.
func startServer(t *testing.T, change func(*server.Options)) *server.Server {
	t.Helper()
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
		NoSigs: true, NoLog: true}
	change(options)
	return logtest.ServerWith(t, options)
}

// replaceStream replaces SHOP by a stream of a given size that lacks messages; SHOP itself denies deletion.
func replaceStream(t *testing.T, l *eventlog.Log, size int, missing ...uint64) {
	t.Helper()
	stream := logtest.Replaceable(t, l)
	for range size {
		if _, err := l.JetStream().Publish(t.Context(), events.PrefixStock+"a", nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, sequence := range missing {
		if err := stream.SecureDeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
}

// brokenLink is a writer whose connection to the broker a test can interrupt, and an observer with a connection of its own.
type brokenLink struct {
	proxy     *logtest.Proxy
	writer    *eventlog.Log
	observer  *eventlog.Log
	lines     *logLines // of the writer
	decisions int       // of the writer
}

func newBrokenLink(t *testing.T, change ...func(*eventlog.Config)) *brokenLink {
	t.Helper()
	broker := logtest.Server(t)
	link := &brokenLink{observer: logtest.OpenOn(t, broker), lines: &logLines{}}
	link.proxy = logtest.NewProxy(t, strings.TrimPrefix(broker.URL(), "nats://"))
	change = append([]func(*eventlog.Config){func(c *eventlog.Config) { c.Patience, c.Logger = 20*time.Second, link.lines.logger() }}, change...)
	link.writer = logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+link.proxy.Addr()), change...)
	return link
}

// disconnect closes the writer's connection and loses what is in flight. The writer cannot reconnect until proxy.Release.
func (link *brokenLink) disconnect(t *testing.T) {
	t.Helper()
	link.proxy.Refuse()
	until(t, "the writer is disconnected", func() bool { return !link.writer.JetStream().Conn().IsConnected() })
}

// reset loses what is in flight and lets the writer reconnect.
func (link *brokenLink) reset(t *testing.T) {
	t.Helper()
	link.disconnect(t)
	link.proxy.Release()
}

// untilUnanswered waits until the writer's first try has timed out.
func (link *brokenLink) untilUnanswered(t *testing.T) {
	t.Helper()
	until(t, "the first try has timed out", func() bool { return strings.Contains(link.lines.String(), "append unanswered") })
}
