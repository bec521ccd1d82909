package log_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Row 6 of the fault matrix: a commit is stored, but its answer is lost. Its writer learns that it was stored, and it is
// neither decided nor stored a second time.
func TestCommitWithLostAnswerIsRecognised(t *testing.T) {
	t.Parallel()
	forOneEventAndBatch(t, func(t *testing.T, link *brokenLink, ids []string) {
		link.proxy.HoldAnswers()
		outcome := link.append(t, ids)
		until(t, "the events are stored", func() bool { return int(messages(t, link.observer)) == len(ids) })
		link.reset(t)
		link.expectStoredOnce(t, outcome, ids)
	})
}

// Row 7 of the fault matrix: a commit is lost before it reaches the broker. It is sent again, once.
func TestLostCommitIsRepeated(t *testing.T) {
	t.Parallel()
	forOneEventAndBatch(t, func(t *testing.T, link *brokenLink, ids []string) {
		link.proxy.Hold()
		outcome := link.append(t, ids)
		until(t, "the proxy holds the events", link.proxy.Holding)
		link.reset(t)
		link.expectStoredOnce(t, outcome, ids)
	})
}

// Rows 6 and 7 of the fault matrix, when the connection is silent instead of broken: nothing is lost, but the commit takes
// longer than a try. All tries arrive in the end, and one of them is stored.
func TestDelayedCommitIsStoredOnce(t *testing.T) {
	t.Parallel()
	forOneEventAndBatch(t, func(t *testing.T, link *brokenLink, ids []string) {
		link.proxy.Hold()
		outcome := link.append(t, ids)
		link.untilUnanswered(t)
		link.proxy.Release()
		link.expectStoredOnce(t, outcome, ids)
	})
}

// forOneEventAndBatch runs a test with one event, which is published by itself, and with several, which are a batch.
func forOneEventAndBatch(t *testing.T, test func(t *testing.T, link *brokenLink, ids []string)) {
	t.Helper()
	for name, ids := range map[string][]string{"One": {"a"}, "Batch": {"a", "b", "c"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBrokenLink(t), ids)
		})
	}
}

// append appends one event to each entity in one transaction of the writer, while the test continues.
func (link *brokenLink) append(t *testing.T, ids []string) <-chan error {
	t.Helper()
	outcome := make(chan error, 1)
	go func() {
		outcome <- link.writer.Do(t.Context(), func(tx *eventlog.Tx) error {
			link.decisions++
			var problem error
			for _, id := range ids {
				problem = errors.Join(problem, addNew(tx, id))
			}
			return problem
		})
	}()
	return outcome
}

// expectStoredOnce waits for the outcome and asserts that the events were decided once and stored once.
func (link *brokenLink) expectStoredOnce(t *testing.T, outcome <-chan error, ids []string) {
	t.Helper()
	if err := <-outcome; err != nil {
		t.Errorf("append: %v", err)
	}
	if link.decisions != 1 {
		t.Errorf("decisions: got %d, want 1", link.decisions)
	}
	for _, id := range ids {
		expectTally(t, link.observer, id, tally{1, 1})
	}
	// The cached state is the stored one: the next decision succeeds at the first attempt.
	err := link.writer.Do(t.Context(), func(tx *eventlog.Tx) error { link.decisions++; return add(tx, ids[0], 1) })
	if err != nil || link.decisions != 2 {
		t.Errorf("next decision: got %d attempts, %v; want 1", link.decisions-1, err)
	}
	expectStored(t, link.observer, len(ids)+1)
}

// Rows 7 and 28 of the fault matrix together: a commit about two entities is unanswered, and meanwhile another writer appends
// to the second entity. Although nothing follows on the first entity, the conflict is not with an own try: the decision is
// repeated at once, and later requests do not wait until patience ends.
func TestConflictAfterLostTryIsDecidedAgain(t *testing.T) {
	t.Parallel()
	link := newBrokenLink(t)
	mustAdd(t, link.observer, "b")
	outcome := make(chan error, 1)
	go func() {
		outcome <- link.writer.Do(t.Context(), func(tx *eventlog.Tx) error {
			err := errors.Join(add(tx, "a", 1), add(tx, "b", 1))
			if link.decisions++; link.decisions == 1 {
				link.proxy.Hold()
			}
			return err
		})
	}()
	link.untilUnanswered(t)
	mustAdd(t, link.observer, "b")
	link.reset(t)
	if err := <-outcome; err != nil || link.decisions != 2 {
		t.Errorf("got %d decisions, %v; want 2 and no error", link.decisions, err)
	}
	for id, want := range map[string]tally{"a": {1, 1}, "b": {3, 3}} {
		expectTally(t, link.observer, id, want)
	}
}

// Row 13 of the fault matrix, for concurrent appends while the stream has no leader: the broker accepts them later, in any
// order. That is not a truncated log.
func TestConcurrentAppendsWithoutLeaderAreStoredInAnyOrder(t *testing.T) {
	t.Parallel()
	writer, operator := twoLogs(t)
	mustAppendConcurrently(t, writer, "warm") // after many requests the committer waits for as many
	for round := range 5 {
		restore := withoutLeader(t, operator)
		received := writer.JetStream().Conn().Stats().InMsgs
		done := make(chan struct{})
		go func() {
			defer close(done)
			mustAppendConcurrently(t, writer, fmt.Sprintf("round-%d", round))
		}()
		until(t, "the broker has no responders for them", func() bool { return writer.JetStream().Conn().Stats().InMsgs >= received+smallGroup })
		restore()
		<-done
	}
	expectStored(t, operator, 6*smallGroup)
}

// withoutLeader removes the subjects of SHOP, so that publishes have no responders, as during the election of a leader.
func withoutLeader(t *testing.T, l *eventlog.Log) (restore func()) {
	t.Helper()
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	setSubjects := func(subjects ...string) {
		config.Subjects = subjects
		if _, err := l.JetStream().UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	before := slices.Clone(config.Subjects)
	setSubjects(events.PrefixItem + "*")
	return func() { setSubjects(before...) }
}

// Row 7 of the fault matrix, for a read of a long history: the request is lost after the first event was read, and repeated.
func TestReadOfHistoryRepeatsLostRequest(t *testing.T) {
	t.Parallel()
	link := newBrokenLink(t)
	const length = 20 // more events than are read one by one
	for range length {
		mustAdd(t, link.observer, "a")
	}
	var once sync.Once
	interrupted := eventlog.Entity[tally]{Prefix: tallies.Prefix, Apply: func(s tally, e events.Event) (tally, error) {
		once.Do(link.proxy.Hold)
		return tallies.Apply(s, e)
	}}
	var got tally
	read := make(chan error, 1)
	go func() {
		var err error
		got, _, err = interrupted.Read(t.Context(), link.writer, "a")
		read <- err
	}()
	until(t, "the proxy holds the request", link.proxy.Holding)
	link.reset(t)
	if err := <-read; err != nil || got != (tally{length, length}) {
		t.Errorf("read: got %+v, %v; want %d events", got, err, length)
	}
}

// twoAddresses is a log with a clock, on a broker that has two addresses.
type twoAddresses struct {
	log     *eventlog.Log
	conn    *nats.Conn
	proxies []*logtest.Proxy
	lines   logLines
	elapsed atomic.Int64 // nanoseconds
}

func newTwoAddresses(t *testing.T) *twoAddresses {
	t.Helper()
	a, broker, began := &twoAddresses{}, logtest.Server(t), time.Now()
	var urls []string
	for range 2 {
		proxy := logtest.NewProxy(t, strings.TrimPrefix(broker.URL(), "nats://"))
		a.proxies, urls = append(a.proxies, proxy), append(urls, "nats://"+proxy.Addr())
	}
	a.conn = logtest.ConnectTo(t, strings.Join(urls, ","))
	a.log = logtest.OpenOver(t, a.conn, func(c *eventlog.Config) {
		c.Logger = a.lines.logger()
		c.Now = func() time.Time { return began.Add(time.Duration(a.elapsed.Load())) }
	})
	return a
}

// expectFailover advances the clock, requests a failover, and asserts whether the connection moves to the other address.
func (a *twoAddresses) expectFailover(t *testing.T, when string, after time.Duration, want bool) {
	t.Helper()
	a.elapsed.Add(int64(after))
	moves := func() int { return strings.Count(a.lines.String(), "reconnecting to another server") }
	before := moves()
	a.log.Failover()
	if moved := moves() > before; moved != want {
		t.Errorf("%s: connection moved: got %t, want %t", when, moved, want)
	}
	if want {
		until(t, "the connection is up", a.conn.IsConnected)
	}
}

// Rows 7 and 13 of the fault matrix, on slow machines: a process that reconnects every few seconds would get no answers.
func TestFailoverIntervalsGrow(t *testing.T) {
	t.Parallel()
	a := newTwoAddresses(t)
	a.expectFailover(t, "at once", 0, false)
	a.expectFailover(t, "3 s after the start", 3*time.Second, true)
	a.expectFailover(t, "3 s after the first move", 3*time.Second, false)
	a.expectFailover(t, "6 s after the first move", 3*time.Second, true)
	a.expectFailover(t, "9 s after the second move", 9*time.Second, false)
	a.expectFailover(t, "12 s after the second move", 3*time.Second, true)
	a.expectFailover(t, "24 s after the third move", 24*time.Second, true)
	a.expectFailover(t, "30 s after the fourth move", 30*time.Second, true)
	a.expectFailover(t, "30 s after the fifth move", 30*time.Second, true)
	a.expectFailover(t, "2 min after the sixth move", 2*time.Minute, true)
	a.expectFailover(t, "3 s after the seventh move", 3*time.Second, true)
}

// A connection that is down is already reconnecting.
func TestFailoverLeavesDisconnectedConnectionAlone(t *testing.T) {
	t.Parallel()
	a := newTwoAddresses(t)
	for _, proxy := range a.proxies {
		proxy.Refuse()
	}
	until(t, "the connection is down", func() bool { return !a.conn.IsConnected() })
	a.expectFailover(t, "while it is down", time.Hour, false)
	for _, proxy := range a.proxies {
		proxy.Release()
	}
	until(t, "the connection is up", a.conn.IsConnected)
	a.expectFailover(t, "after it has reconnected", 0, true)
}

// Row 13 of the fault matrix, for reads: the connection is lost while a read waits for its answer.
func TestReadIsRepeatedAfterReconnect(t *testing.T) {
	t.Parallel()
	a := newTwoAddresses(t)
	mustAdd(t, a.log, "apples")
	for _, proxy := range a.proxies {
		proxy.Hold()
	}
	read := make(chan error, 1)
	go func() {
		_, _, err := tallies.Read(t.Context(), a.log, "apples")
		read <- err
	}()
	until(t, "a proxy holds the request", func() bool { return a.proxies[0].Holding() || a.proxies[1].Holding() })
	if err := a.conn.ForceReconnect(); err != nil {
		t.Error(err)
	}
	for _, proxy := range a.proxies {
		proxy.Release()
	}
	if err := <-read; err != nil {
		t.Errorf("read: %v", err)
	}
}
