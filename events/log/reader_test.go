package log_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// line renders a message as "sequence subject".
func line(m eventlog.Message) string { return fmt.Sprintf("%d %s", m.Sequence, m.Subject) }

// follower follows a log in the background.
type follower struct {
	messages chan eventlog.Message
	ended    chan error
}

func follow(ctx context.Context, l *eventlog.Log, from uint64) *follower {
	f := &follower{messages: make(chan eventlog.Message, 1000), ended: make(chan error, 1)}
	go func() {
		f.ended <- l.Follow(ctx, from, func(m eventlog.Message) error { f.messages <- m; return nil })
	}()
	return f
}

// expect waits for messages and compares them.
func (f *follower) expect(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for range want {
		select {
		case m := <-f.messages:
			got = append(got, line(m))
		case err := <-f.ended:
			t.Fatalf("follow ended after %v: %v", got, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("followed messages (-want +got):\n%s", diff)
	}
}

// Follow delivers every stored message and then every new one, in order. Messages that are not events are delivered too,
// because leaving them out would look like a gap.
func TestFollowDeliversEveryMessageInOrder(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	mustAdd(t, l, "a", "b", "a")
	ctx, cancel := context.WithCancel(t.Context())
	all, later := follow(ctx, l, 0), follow(ctx, l, 3)
	want := []string{"1 inventory.stock.main.a", "2 inventory.stock.main.b", "3 inventory.stock.main.a", "4 inventory.stock.main.c", "5 payments.webhooks"}
	all.expect(t, want[:3]...)
	mustAdd(t, l, "c")
	if _, err := l.JetStream().Publish(t.Context(), events.SubjectWebhooks, []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	all.expect(t, want[3:]...)
	later.expect(t, want[2:]...)
	cancel()
	for _, f := range []*follower{all, later} {
		if err := <-f.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("follow ended: got %v, want context.Canceled", err)
		}
	}
}

// The stream denies deletion, so a missing sequence is damage. Follow returns it and delivers no message after it.
func TestFollowStopsAtGap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		missing []uint64
		want    eventlog.GapError
		before  []string
	}{
		"One":     {[]uint64{3}, eventlog.GapError{From: 3, To: 3}, []string{"1 inventory.stock.main.a", "2 inventory.stock.main.a"}},
		"Several": {[]uint64{2, 3, 4}, eventlog.GapError{From: 2, To: 4}, []string{"1 inventory.stock.main.a"}},
		"First":   {[]uint64{1, 2}, eventlog.GapError{From: 1, To: 2}, nil},
		"TwoGaps": {[]uint64{2, 4}, eventlog.GapError{From: 2, To: 2}, []string{"1 inventory.stock.main.a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := logtest.Open(t)
			replaceStream(t, l, 5, c.missing...)
			var got []string
			err := l.Follow(t.Context(), 1, func(m eventlog.Message) error { got = append(got, line(m)); return nil })
			var gap *eventlog.GapError
			if !errors.As(err, &gap) || *gap != c.want {
				t.Errorf("follow: got %v, want %v", err, &c.want)
			}
			if diff := cmp.Diff(c.before, got); diff != "" {
				t.Errorf("messages before the gap (-want +got):\n%s", diff)
			}
		})
	}
}

// A reader that needs no history begins with the newest message of each subject. From the sequence that Snapshot returns it
// follows the log without missing a message.
func TestSnapshotDeliversNewestMessageOfEachSubject(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	expect := func(name string, filters, want []string, wantUpTo uint64) {
		t.Helper()
		var got []string
		upTo, err := l.Snapshot(t.Context(), filters, func(m eventlog.Message) error { got = append(got, line(m)); return nil })
		if diff := cmp.Diff(want, got); diff != "" || err != nil || upTo != wantUpTo {
			t.Errorf("%s: got up to %d, %v; want up to %d; messages (-want +got):\n%s", name, upTo, err, wantUpTo, diff)
		}
	}
	expect("empty log", nil, nil, 0)
	for i := range int64(3) {
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			return errors.Join(add(tx, "a", i), add(tx, "b", i), balances.Append(tx, "c", plus(i)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	mustAdd(t, l, "a")
	expect("all", nil, []string{"8 inventory.stock.main.b", "9 inventory.items.c", "10 inventory.stock.main.a"}, 10)
	expect("one prefix", []string{events.PrefixStock + "*"}, []string{"8 inventory.stock.main.b", "10 inventory.stock.main.a"}, 10)
	expect("two prefixes", []string{events.PrefixItem + "*", events.PrefixOrder + "*"}, []string{"9 inventory.items.c"}, 10)
	expect("no subject", []string{events.PrefixOrder + "*"}, nil, 10)
	next := follow(t.Context(), l, 11)
	mustAdd(t, l, "a")
	next.expect(t, "11 inventory.stock.main.a")
}

// An error of the function ends Follow and Snapshot.
func TestErrorOfFunctionEndsReading(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	mustAdd(t, l, "a", "b")
	errEnough := errors.New("enough")
	for name, read := range map[string]func(func(eventlog.Message) error) error{
		"Follow": func(fn func(eventlog.Message) error) error { return l.Follow(t.Context(), 1, fn) },
		"Snapshot": func(fn func(eventlog.Message) error) error {
			_, err := l.Snapshot(t.Context(), nil, fn)
			return err
		},
	} {
		calls := 0
		if err := read(func(eventlog.Message) error { calls++; return errEnough }); !errors.Is(err, errEnough) || calls != 1 {
			t.Errorf("%s: got %v after %d calls, want %v after 1", name, err, calls, errEnough)
		}
	}
}

// Row 7 of the fault matrix, for Follow: its request is lost, as in a cluster without a leader, and repeated.
func TestFollowRepeatsLostRequest(t *testing.T) {
	t.Parallel()
	link := newBrokenLink(t)
	mustAdd(t, link.observer, "a")
	link.proxy.Hold()
	f := follow(t.Context(), link.writer, 1)
	until(t, "the proxy holds the request", link.proxy.Holding)
	link.reset(t)
	f.expect(t, "1 inventory.stock.main.a")
}

// A reader that follows the log from its end misses no message, even when the connection breaks before the first one.
func TestFollowFromEndMissesNothingAfterDisconnect(t *testing.T) {
	t.Parallel()
	link := newBrokenLink(t)
	mustAdd(t, link.observer, "before")
	end, err := link.writer.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t.Context(), link.writer, end+1)
	until(t, "the broker has the consumer", func() bool { return consumers(t, link.observer) > 0 })
	link.disconnect(t)
	mustAdd(t, link.observer, "meanwhile")
	link.proxy.Release()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case m := <-f.messages:
			if got, want := line(m), "2 inventory.stock.main.meanwhile"; got != want {
				t.Errorf("first message: got %s, want %s", got, want)
			}
			return
		case err := <-f.ended:
			t.Fatalf("follow ended: %v", err)
		case <-ticker.C:
			mustAdd(t, link.observer, "later")
		}
	}
}

func consumers(t *testing.T, l *eventlog.Log) int {
	t.Helper()
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Consumers
}

// Row 13 of the fault matrix, for Follow: the connection breaks several times, and every message is delivered once.
func TestFollowDeliversEveryMessageOnceOverBrokenConnection(t *testing.T) {
	t.Parallel()
	link := newBrokenLink(t)
	f := follow(t.Context(), link.writer, 1)
	const rounds, each = 5, 20
	var want []string
	for round := range rounds {
		for i := range each {
			id := fmt.Sprintf("%d-%d", round, i)
			want = append(want, fmt.Sprintf("%d %s%s", len(want)+1, events.PrefixStock, id))
			mustAdd(t, link.observer, id)
		}
		link.reset(t)
	}
	f.expect(t, want...)
}

// After a reconnect a process compares the end of the log with what it has seen. What it appends before the answer arrives
// does not count as lost, which would end the process.
func TestGrowingLogIsNotTruncated(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	mustAdd(t, l, "a")
	if err := l.CheckEnd(t.Context(), func() { mustAdd(t, l, "a") }); err != nil {
		t.Error(err)
	}
}

// An older copy of the broker's store was restored, so the broker assigns sequences a second time. The first append detects
// that and returns an error, and Monitor returns too.
func TestTruncatedLogIsNotAppendedTo(t *testing.T) {
	t.Parallel()
	l, operator := twoLogs(t)
	mustAdd(t, l, "a", "a", "a")
	replaceStream(t, operator, 1)
	monitored := make(chan error, 1)
	go func() { monitored <- l.Monitor(t.Context()) }()
	tx := l.Begin(t.Context())
	if err := addNew(tx, "b"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); !errors.Is(err, eventlog.ErrTruncated) || !errors.Is(err, eventlog.ErrUnavailable) {
		t.Errorf("append: got %v, want ErrUnavailable and ErrTruncated", err)
	}
	if err := <-monitored; !errors.Is(err, eventlog.ErrTruncated) {
		t.Errorf("monitor: got %v, want ErrTruncated", err)
	}
}

// Folding the messages one by one leads to the state that Read returns.
func TestStepsLeadToStateThatReadReturns(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	mustAdd(t, l, slices.Repeat([]string{"a"}, 5)...)
	if _, err := l.JetStream().Publish(t.Context(), events.PrefixStock+"a", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	want, last, err := tallies.Read(t.Context(), l, "a")
	if err != nil {
		t.Fatal(err)
	}
	errEnd := errors.New("end of the log")
	var state eventlog.State[tally]
	err = l.Follow(t.Context(), 1, func(m eventlog.Message) error {
		var err error
		if state, err = tallies.Step(state, m); err == nil && m.Sequence == last {
			err = errEnd
		}
		return err
	})
	if !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(eventlog.State[tally]{Value: want, Sequence: 6, Revision: 5}, state); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

// What is stored while Since reads is left to the follower: a fold that got it twice would refuse its revision.
func TestSinceEndsWhereFollowingBegins(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	const before = 3000 // more than are in flight to a reader
	for range 3 {
		err := l.Do(t.Context(), func(tx *eventlog.Tx) (err error) {
			for i := range int64(before / 3) {
				err = errors.Join(err, add(tx, "a", i))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read := uint64(0)
	upTo, err := l.Since(t.Context(), []string{events.PrefixStock + "*"}, time.Unix(0, 0), func(m eventlog.Message) error {
		if read++; read == 1 {
			mustAdd(t, l, "a")
		}
		return nil
	})
	if err != nil || upTo != before || read != before {
		t.Errorf("got %d messages up to %d, %v; want those before the one that was stored meanwhile, %d", read, upTo, err, before)
	}
}
