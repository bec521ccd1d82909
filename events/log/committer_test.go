package log_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// crowd is how many requests wait at once: enough for the committer to make one batch of them.
const crowd = 64

// warm has the committer serve many at once, so that it waits for as many the next time.
func warm(t *testing.T, l *log.Log) {
	t.Helper()
	for unit, err := range commitCrowd(t, l, "warm") {
		if err != nil {
			t.Fatalf("request %d: %v", unit, err)
		}
	}
}

// commitCrowd has many requests wait at once and returns what became of each.
func commitCrowd(t *testing.T, l *log.Log, name string) (outcomes []error) {
	t.Helper()
	tx := l.Begin(t.Context())
	var units []int
	for i := range crowd {
		units = append(units, tx.Unit())
		id := fmt.Sprintf("%s-%d", name, i)
		if _, err := tallies.LoadNew(tx, id); err != nil {
			t.Fatal(err)
		}
		if err := tallies.Append(tx, id, plus(1)); err != nil {
			t.Fatal(err)
		}
	}
	outcome := tx.CommitEach()
	for _, unit := range units {
		outcomes = append(outcomes, outcome(unit))
	}
	return outcomes
}

// published counts what a log has sent to its broker.
func published(l *log.Log) int { return int(l.JetStream().Conn().Stats().OutMsgs) }

// Row 15 of the fault matrix, for many at once: what a broker refuses for want of room it would refuse in pieces as well.
// Everybody is told so after one try: a full disk is not the time to ask everything again and again.
func TestABatchThatFindsNoRoomIsNotTriedInPieces(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(*testing.T, *server.Server, *log.Log){
		"Stream": func(t *testing.T, _ *server.Server, l *log.Log) { limitTo(t, l, crowd) },
		"Account": func(t *testing.T, broker *server.Server, _ *log.Log) {
			few := server.JetStreamAccountLimits{MaxMemory: -1, MaxStore: 100, MaxStreams: -1, MaxConsumers: -1}
			if err := broker.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": few}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker, registry := tight(t, func(*server.Options) {}), prometheus.NewRegistry()
			l := logtest.OpenOver(t, logtest.ConnectTo(t, broker.ClientURL()), func(c *log.Config) { c.Registerer = registry })
			warm(t, l)
			fill(t, broker, l)
			before, began := published(l), time.Now()
			for i, err := range commitCrowd(t, l, "late") {
				if !errors.Is(err, log.ErrUnavailable) {
					t.Errorf("request %d: %v, want ErrUnavailable", i, err)
				}
			}
			if sent := published(l) - before; sent != crowd {
				t.Errorf("%d messages were sent, want each of %d once", sent, crowd)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s to be told no", took)
			}
			if n := refusals(t, registry); n != crowd {
				t.Errorf("%v refusals counted, want %d", n, crowd)
			}
			if n := messages(t, l, events.StreamShop); n != crowd {
				t.Errorf("%d facts in the log, want %d", n, crowd)
			}
		})
	}
}

// Row 8 of the fault matrix, when the process has seen the faster writer's event already: the request that is too late is
// refused without asking the broker, which would refuse everything beside it.
func TestARequestThatIsKnownToBeTooLateIsNotSent(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	warm(t, ours)
	tx := ours.Begin(t.Context())
	var units []int
	for i := range crowd {
		units = append(units, tx.Unit())
		if err := add(tx, fmt.Sprintf("warm-%d", i), 1); err != nil { // cached
			t.Fatal(err)
		}
	}
	const late = 7
	if err := theirs.Do(t.Context(), func(tx *log.Tx) error { return add(tx, fmt.Sprintf("warm-%d", late), 1) }); err != nil {
		t.Fatal(err)
	}
	seen, err := theirs.Get(t.Context(), crowd+1)
	if err != nil {
		t.Fatal(err)
	}
	ours.Observe(seen)
	before := published(ours)
	outcome := tx.CommitEach()
	for i, unit := range units {
		if err := outcome(unit); i == late && !log.IsConflict(err) || i != late && err != nil {
			t.Errorf("request %d: %v; want a conflict of %d alone", i, err, late)
		}
	}
	if sent := published(ours) - before; sent != crowd-1 {
		t.Errorf("%d messages were sent, want %d", sent, crowd-1)
	}
}

// Row 8 of the fault matrix, when nobody has told the process: the log itself shows which requests were too late. They are
// not searched for by trying parts of the batch: the others are sent once more.
func TestRequestsThatTurnOutToBeTooLateAreSortedOutAtOnce(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours, theirs := logtest.OpenOn(t, server), logtest.OpenOn(t, server)
	warm(t, ours)
	tx := ours.Begin(t.Context())
	var units []int
	for i := range crowd {
		units = append(units, tx.Unit())
		if err := add(tx, fmt.Sprintf("warm-%d", i), 1); err != nil {
			t.Fatal(err)
		}
	}
	late := map[int]bool{7: true, 40: true}
	for i := range late {
		if err := theirs.Do(t.Context(), func(tx *log.Tx) error { return add(tx, fmt.Sprintf("warm-%d", i), 1) }); err != nil {
			t.Fatal(err)
		}
	}
	before := published(ours)
	outcome := tx.CommitEach()
	for i, unit := range units {
		switch err := outcome(unit); {
		case late[i] && (!log.IsConflict(err) || tx.Sequence(i) != 0):
			t.Errorf("request %d: %v, stored at %d; want a conflict", i, err, tx.Sequence(i))
		case !late[i] && (err != nil || tx.Sequence(i) <= crowd):
			t.Errorf("request %d: %v, stored at %d", i, err, tx.Sequence(i))
		}
	}
	each, looks, again := crowd, crowd, crowd-len(late)
	if sent := published(ours) - before; sent > each+looks+again {
		t.Errorf("%d messages were sent, want at most %d", sent, each+looks+again)
	}
	if n := messages(t, ours, events.StreamShop); n != 2*crowd {
		t.Errorf("%d facts in the log, want %d", n, 2*crowd)
	}
}
