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
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// told is what a reader was told, as "sequence subject".
func told(m log.Message) string { return fmt.Sprintf("%d %s", m.Sequence, m.Subject) }

// follower reads a log in the background.
type follower struct {
	heard chan log.Message
	ended chan error
}

func follow(ctx context.Context, l *log.Log, from uint64) *follower {
	f := &follower{heard: make(chan log.Message, 1000), ended: make(chan error, 1)}
	go func() {
		f.ended <- l.Follow(ctx, from, func(m log.Message) error { f.heard <- m; return nil })
	}()
	return f
}

// hear waits for some messages.
func (f *follower) hear(t *testing.T, n int) (messages []string) {
	t.Helper()
	for range n {
		select {
		case m := <-f.heard:
			messages = append(messages, told(m))
		case err := <-f.ended:
			t.Fatalf("the reader ended after %v: %v", messages, err)
		}
	}
	return messages
}

// A reader is told everything that is in the log, and then everything that is appended, in order. What is no event is in
// the log as well: leaving it out would look like a gap.
func TestFollowTellsEverythingInOrder(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	for _, id := range []string{"a", "b", "a"} {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, id, 1) }); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	all, later := follow(ctx, l, 0), follow(ctx, l, 3)
	want := []string{"1 inventory.stock.main.a", "2 inventory.stock.main.b", "3 inventory.stock.main.a", "4 inventory.stock.main.c", "5 payments.webhooks"}
	if diff := cmp.Diff(want[:3], all.hear(t, 3)); diff != "" {
		t.Errorf("from the beginning, want -, got +:\n%s", diff)
	}
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "c", 7) }); err != nil {
		t.Fatal(err)
	}
	if _, err := l.JetStream().Publish(t.Context(), events.SubjectWebhooks, []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[3:], all.hear(t, 2)); diff != "" {
		t.Errorf("what was appended since, want -, got +:\n%s", diff)
	}
	if diff := cmp.Diff(want[2:], later.hear(t, 3)); diff != "" {
		t.Errorf("from 3 on, want -, got +:\n%s", diff)
	}
	cancel()
	for _, f := range []*follower{all, later} {
		if err := <-f.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the reader ended with %v, want that it was cancelled", err)
		}
	}
}

// What a reader makes of the messages one by one is the state that everybody else reads.
func TestStepsLeadToTheStateThatIsRead(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	for i := range int64(5) {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", i) }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.JetStream().Publish(t.Context(), events.PrefixStock+"a", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	want, last, err := tallies.Read(t.Context(), l, "a")
	if err != nil {
		t.Fatal(err)
	}
	errEnough := errors.New("that is all")
	var state log.State[tally]
	err = l.Follow(t.Context(), 1, func(m log.Message) error {
		var err error
		if state, err = tallies.Step(state, m); err == nil && m.Sequence == last {
			err = errEnough
		}
		return err
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(log.State[tally]{Value: want, Sequence: 6, Revision: 5}, state); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// The stream denies deletion, so a sequence that is missing is damage. A reader says so, and tells nothing from behind it.
func TestFollowStopsAtAGap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		missing []uint64
		want    log.GapError
		before  []string
	}{
		"One":       {[]uint64{3}, log.GapError{From: 3, To: 3}, []string{"1 inventory.stock.main.a", "2 inventory.stock.main.a"}},
		"Several":   {[]uint64{2, 3, 4}, log.GapError{From: 2, To: 4}, []string{"1 inventory.stock.main.a"}},
		"TheFirst":  {[]uint64{1, 2}, log.GapError{From: 1, To: 2}, nil},
		"TwoOfThem": {[]uint64{2, 4}, log.GapError{From: 2, To: 2}, []string{"1 inventory.stock.main.a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := logtest.Open(t)
			damage(t, l, 5, c.missing...)
			var heard []string
			err := l.Follow(t.Context(), 1, func(m log.Message) error { heard = append(heard, told(m)); return nil })
			var gap *log.GapError
			if !errors.As(err, &gap) || *gap != c.want {
				t.Errorf("got %v, want %v", err, &c.want)
			}
			if diff := cmp.Diff(c.before, heard); diff != "" {
				t.Errorf("before it, want -, got +:\n%s", diff)
			}
		})
	}
}

// damage puts a stream that lacks messages in the place of the log's: its own denies deletion for ever.
func damage(t *testing.T, l *log.Log, size int, missing ...uint64) {
	t.Helper()
	js, config := l.JetStream(), log.Streams(1)[0]
	config.DenyDelete = false
	if err := js.DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	for range size {
		if _, err := js.Publish(t.Context(), events.PrefixStock+"a", nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, sequence := range missing {
		if err := stream.SecureDeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
}

// The newest message of each subject is where a reader begins that needs no history; from the sequence up to which the
// snapshot has looked, it follows the log and misses nothing.
func TestASnapshotHasTheNewestOfEachSubject(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	snapshot := func(filters ...string) (heard []string, upTo uint64) {
		t.Helper()
		upTo, err := l.Snapshot(t.Context(), filters, func(m log.Message) error { heard = append(heard, told(m)); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return heard, upTo
	}
	if heard, upTo := snapshot(); len(heard) != 0 || upTo != 0 {
		t.Errorf("of an empty log: %v up to %d", heard, upTo)
	}
	for i := range int64(3) {
		err := l.Do(t.Context(), func(tx *log.Tx) error {
			return errors.Join(add(tx, "a", i), add(tx, "b", i), balances.Append(tx, "c", plus(i)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 3) }); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ filters, want []string }{
		"Everything": {nil, []string{"8 inventory.stock.main.b", "9 inventory.items.c", "10 inventory.stock.main.a"}},
		"OneKind":    {[]string{events.PrefixStock + "*"}, []string{"8 inventory.stock.main.b", "10 inventory.stock.main.a"}},
		"TwoKinds":   {[]string{events.PrefixItem + "*", events.PrefixOrder + "*"}, []string{"9 inventory.items.c"}},
		"None":       {[]string{events.PrefixOrder + "*"}, nil},
	} {
		heard, upTo := snapshot(c.filters...)
		if diff := cmp.Diff(c.want, heard); diff != "" || upTo != 10 {
			t.Errorf("%s, up to %d, want 10; want -, got +:\n%s", name, upTo, diff)
		}
	}
	behind := follow(t.Context(), l, 11)
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 7) }); err != nil {
		t.Fatal(err)
	}
	if got := behind.hear(t, 1); !slices.Equal(got, []string{"11 inventory.stock.main.a"}) {
		t.Errorf("behind the snapshot: %v", got)
	}
}

// An error of the one who is told ends a snapshot as it ends a reader.
func TestWhoIsToldMayEndIt(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return errors.Join(add(tx, "a", 1), add(tx, "b", 1)) }); err != nil {
		t.Fatal(err)
	}
	errEnough := errors.New("enough")
	for name, read := range map[string]func(func(log.Message) error) error{
		"Follow": func(fn func(log.Message) error) error { return l.Follow(t.Context(), 1, fn) },
		"Snapshot": func(fn func(log.Message) error) error {
			_, err := l.Snapshot(t.Context(), nil, fn)
			return err
		},
	} {
		calls := 0
		if err := read(func(log.Message) error { calls++; return errEnough }); !errors.Is(err, errEnough) || calls != 1 {
			t.Errorf("%s ended with %v after %d messages, want the error after one", name, err, calls)
		}
	}
}

// Row 7 of the fault matrix, for those who follow the log: what they asked for is lost, as it is in a cluster that has
// yet to choose its leaders. They ask again.
func TestAFollowerThatIsNotHeardAsksAgain(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	if err := w.observer.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
		t.Fatal(err)
	}
	w.proxy.Hold()
	f := follow(t.Context(), w.writer, 1)
	until(t, "the question is on its way", w.proxy.Holding)
	w.cut(t)
	if got := f.hear(t, 1); !slices.Equal(got, []string{"1 inventory.stock.main.a"}) {
		t.Errorf("heard %v", got)
	}
}

// Who follows the log from its end misses nothing of what follows, even when the wire breaks before anything has come.
func TestAFollowerFromNowOnMissesNothing(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	tell := func(id string) {
		t.Helper()
		if err := w.observer.Do(t.Context(), func(tx *log.Tx) error { return add(tx, id, 1) }); err != nil {
			t.Error(err)
		}
	}
	tell("before")
	end, err := w.writer.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t.Context(), w.writer, end+1)
	until(t, "the broker knows the reader", func() bool { return consumers(t, w.observer) > 0 })
	w.proxy.Refuse()
	until(t, "the connection is gone", func() bool { return !w.writer.JetStream().Conn().IsConnected() })
	tell("meanwhile")
	w.proxy.Release()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case m := <-f.heard:
			if told(m) != "2 inventory.stock.main.meanwhile" {
				t.Errorf("the first that it heard of is %s", told(m))
			}
			return
		case err := <-f.ended:
			t.Fatalf("the reader ended: %v", err)
		case <-again.C:
			tell("later")
		}
	}
}

// Row 13 of the fault matrix, for those who follow the log: the wire breaks again and again while they are told.
func TestAFollowerIsToldEverythingOnceOverABrokenWire(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	f := follow(t.Context(), w.writer, 1)
	const rounds, each = 5, 20
	var want []string
	for round := range rounds {
		for i := range each {
			id := fmt.Sprintf("%d-%d", round, i)
			want = append(want, fmt.Sprintf("%d %s%s", len(want)+1, events.PrefixStock, id))
			if err := w.observer.Do(t.Context(), func(tx *log.Tx) error { return add(tx, id, 1) }); err != nil {
				t.Fatal(err)
			}
		}
		w.cut(t)
	}
	if diff := cmp.Diff(want, f.hear(t, rounds*each)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func consumers(t *testing.T, l *log.Log) int {
	t.Helper()
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Consumers
}
