package log_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// The committer makes one batch of largeGroup concurrent requests, and publishes smallGroup requests one by one.
const (
	largeGroup = 64
	smallGroup = 16
)

// commitLargeGroup commits many requests at once, each about a new entity, and returns their outcomes.
func commitLargeGroup(t *testing.T, l *eventlog.Log, name string) (outcomes []error) {
	t.Helper()
	tx := l.Begin(t.Context())
	var units []int
	for i := range largeGroup {
		units = append(units, tx.Unit())
		if err := addNew(tx, fmt.Sprintf("%s-%d", name, i)); err != nil {
			t.Fatal(err)
		}
	}
	outcome := tx.CommitEach()
	for _, unit := range units {
		outcomes = append(outcomes, outcome(unit))
	}
	return outcomes
}

// warmLargeGroup commits many requests at once, after which the committer waits for as many.
func warmLargeGroup(t *testing.T, l *eventlog.Log) {
	t.Helper()
	for unit, err := range commitLargeGroup(t, l, "warm") {
		if err != nil {
			t.Fatalf("request %d: %v", unit, err)
		}
	}
}

// beginLargeGroup begins one transaction with a unit for each entity of warmLargeGroup, all cached.
func beginLargeGroup(t *testing.T, l *eventlog.Log) (tx *eventlog.Tx, units []int) {
	t.Helper()
	warmLargeGroup(t, l)
	tx = l.Begin(t.Context())
	for i := range largeGroup {
		units = append(units, tx.Unit())
		if err := add(tx, warmID(i), 1); err != nil {
			t.Fatal(err)
		}
	}
	return tx, units
}

func warmID(i int) string { return fmt.Sprintf("warm-%d", i) }

// appendConcurrently appends to as many new entities as are published one by one, and returns the outcomes.
func appendConcurrently(t *testing.T, l *eventlog.Log, name string) (outcomes []error) {
	t.Helper()
	answers := make(chan error, smallGroup)
	for i := range smallGroup {
		go func() {
			answers <- l.Do(t.Context(), func(tx *eventlog.Tx) error { return addNew(tx, fmt.Sprintf("%s-%d", name, i)) })
		}()
	}
	for range smallGroup {
		outcomes = append(outcomes, <-answers)
	}
	return outcomes
}

// mustAppendConcurrently is appendConcurrently without errors.
func mustAppendConcurrently(t *testing.T, l *eventlog.Log, name string) {
	t.Helper()
	for _, err := range appendConcurrently(t, l, name) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// limitStream sets how many messages SHOP may hold.
func limitStream(t *testing.T, l *eventlog.Log, messages int64) {
	t.Helper()
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgs = messages
	updated, err := l.JetStream().UpdateStream(t.Context(), config)
	if err != nil || updated.CachedInfo().Config.MaxMsgs != messages {
		t.Fatalf("limit the stream: %v", err)
	}
}

// limitAccount leaves the account of a server almost no room.
func limitAccount(t *testing.T, broker *server.Server) {
	t.Helper()
	limits := server.JetStreamAccountLimits{MaxMemory: -1, MaxStore: 100, MaxStreams: -1, MaxConsumers: -1}
	if err := broker.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": limits}); err != nil {
		t.Fatal(err)
	}
}

// countedRefusals returns the value of tillstream_log_refused_total.
func countedRefusals(t *testing.T, registry *prometheus.Registry) (n float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "tillstream_log_refused_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			n += m.GetCounter().GetValue()
		}
	}
	return n
}

// Row 15 of the fault matrix: a stream that has reached its limit refuses whole transactions and drops no old event. The
// refusals are counted, and a higher limit is enough to append again.
func TestFullStreamRefusesAppendsAndKeepsOldEvents(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	l := logtest.Open(t, func(c *eventlog.Config) { c.Registerer = registry })
	const limit = 10
	limitStream(t, l, limit)
	for i := range limit - 1 {
		mustAdd(t, l, fmt.Sprintf("item-%d", i))
	}
	began := time.Now()
	both := func(tx *eventlog.Tx) error { return errors.Join(add(tx, "a", 1), add(tx, "b", 1)) }
	if err := l.Do(t.Context(), both); !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("two events, room for one: got %v, want ErrUnavailable", err)
	}
	if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, "last", 1) }); err != nil {
		t.Errorf("one event, room for one: %v", err)
	}
	err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, "item-0", 1) })
	if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "maximum messages exceeded") {
		t.Errorf("one event, no room: got %v, want ErrUnavailable with the broker's reason", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the refusals took %s, want at most 3 s", took)
	}
	if n := countedRefusals(t, registry); n != 2 {
		t.Errorf("counted refusals: got %v, want 2", n)
	}
	expectStored(t, l, limit)
	expectTally(t, l, "item-0", tally{1, 1})
	limitStream(t, l, 2*limit)
	if err := l.Do(t.Context(), both); err != nil {
		t.Errorf("after the limit was raised: %v", err)
	}
}

// Row 15 of the fault matrix, for a batch of many requests: a broker without room would refuse parts of the batch too. Each
// message is sent once, because a full disk must not be loaded with retries.
func TestBatchWithoutRoomIsSentOnce(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(*testing.T, *server.Server, *eventlog.Log){
		"Stream":  func(t *testing.T, _ *server.Server, l *eventlog.Log) { limitStream(t, l, largeGroup) },
		"Account": func(t *testing.T, broker *server.Server, _ *eventlog.Log) { limitAccount(t, broker) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker, registry := startServer(t, func(*server.Options) {}), prometheus.NewRegistry()
			l := logtest.OpenOver(t, logtest.ConnectTo(t, broker.ClientURL()), func(c *eventlog.Config) { c.Registerer = registry })
			warmLargeGroup(t, l)
			fill(t, broker, l)
			before, began := sentMessages(l), time.Now()
			for i, err := range commitLargeGroup(t, l, "late") {
				if !errors.Is(err, eventlog.ErrUnavailable) {
					t.Errorf("request %d: got %v, want ErrUnavailable", i, err)
				}
			}
			if sent := sentMessages(l) - before; sent != largeGroup {
				t.Errorf("sent messages: got %d, want %d", sent, largeGroup)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("the refusal took %s, want at most 20 s", took)
			}
			if n := countedRefusals(t, registry); n != largeGroup {
				t.Errorf("counted refusals: got %v, want %d", n, largeGroup)
			}
			expectStored(t, l, largeGroup)
		})
	}
}

// A broker reports in several ways that it has no room: for its account, or in its write queue. Each of them is temporary and
// says nothing about the event, which must not become a dead letter.
func TestAppendWithoutRoomIsUnavailable(t *testing.T) {
	t.Parallel()
	impatient := func(c *eventlog.Config) { c.Patience = 100 * time.Millisecond }
	t.Run("Account", func(t *testing.T) {
		t.Parallel()
		broker := startServer(t, func(*server.Options) {})
		l := logtest.OpenOver(t, logtest.ConnectTo(t, broker.ClientURL()), impatient)
		mustAppendConcurrently(t, l, "before")
		limitAccount(t, broker)
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return add(tx, "a", 1) }); !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("one event: got %v, want ErrUnavailable", err)
		}
		both := func(tx *eventlog.Tx) error { return errors.Join(add(tx, "a", 1), add(tx, "b", 1)) }
		if err := l.Do(t.Context(), both); !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("two events: got %v, want ErrUnavailable", err)
		}
	})
	t.Run("Queue", func(t *testing.T) {
		t.Parallel()
		broker := startServer(t, func(o *server.Options) { o.StreamMaxBufferedMsgs = 1 })
		l := logtest.OpenOver(t, logtest.ConnectTo(t, broker.ClientURL()), impatient)
		for round := range 20 {
			for _, err := range appendConcurrently(t, l, fmt.Sprintf("round-%d", round)) {
				if err != nil && !errors.Is(err, eventlog.ErrUnavailable) {
					t.Fatalf("round %d: got %v, want ErrUnavailable or no error", round, err)
				}
			}
		}
	})
}

// Row 8 of the fault matrix, when the process has already seen the faster writer's event: the conflicting request is refused
// without a message to the broker, which would refuse the whole batch.
func TestKnownConflictIsNotSent(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	tx, units := beginLargeGroup(t, ours)
	const conflicting = 7
	mustAdd(t, theirs, warmID(conflicting))
	seen, err := theirs.Get(t.Context(), largeGroup+1)
	if err != nil {
		t.Fatal(err)
	}
	ours.Observe(seen)
	before := sentMessages(ours)
	outcome := tx.CommitEach()
	for i, unit := range units {
		if err := outcome(unit); i == conflicting && !eventlog.IsConflict(err) || i != conflicting && err != nil {
			t.Errorf("request %d: got %v, want a conflict of request %d only", i, err, conflicting)
		}
	}
	if sent := sentMessages(ours) - before; sent != largeGroup-1 {
		t.Errorf("sent messages: got %d, want %d", sent, largeGroup-1)
	}
}

// Row 8 of the fault matrix, when the process has not seen the faster writer's events: the committer reads from the log which
// requests conflict, and sends the others once more. It does not try parts of the batch.
func TestConflictingRequestsAreFoundInLogAndOthersSentOnceMore(t *testing.T) {
	t.Parallel()
	ours, theirs := twoLogs(t)
	tx, units := beginLargeGroup(t, ours)
	conflicting := map[int]bool{7: true, 40: true}
	for i := range conflicting {
		mustAdd(t, theirs, warmID(i))
	}
	before := sentMessages(ours)
	outcome := tx.CommitEach()
	for i, unit := range units {
		switch err := outcome(unit); {
		case conflicting[i] && (!eventlog.IsConflict(err) || tx.Sequence(i) != 0):
			t.Errorf("request %d: got %v, stored at %d; want a conflict", i, err, tx.Sequence(i))
		case !conflicting[i] && (err != nil || tx.Sequence(i) <= largeGroup):
			t.Errorf("request %d: got %v, stored at %d; want no error and a sequence above %d", i, err, tx.Sequence(i), largeGroup)
		}
	}
	publishes, reads, repeated := largeGroup, largeGroup, largeGroup-len(conflicting)
	if sent := sentMessages(ours) - before; sent > publishes+reads+repeated {
		t.Errorf("sent messages: got %d, want at most %d", sent, publishes+reads+repeated)
	}
	expectStored(t, ours, 2*largeGroup)
}
