package log_test

import (
	"context"
	"errors"
	"testing"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

func TestAStateIsTheSameFromMemoryFromHistoryAndFromTheLastEvent(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours := logtest.OpenOn(t, server)
	for i := range int64(600) { // more than one direct get brings
		err := ours.Do(t.Context(), func(tx *log.Tx) error {
			fact := plus(i)
			fact.After.OnHand = i
			return errors.Join(tallies.Append(tx, "a", fact), balances.Append(tx, "a", fact))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	remembered, _, err := tallies.Read(t.Context(), ours, "a")
	if err != nil {
		t.Fatal(err)
	}
	fresh := logtest.OpenOn(t, server)
	read, _, err := tallies.Read(t.Context(), fresh, "a")
	if err != nil || read != remembered || read.Events != 600 {
		t.Errorf("read %+v, %v; remembered %+v", read, err, remembered)
	}
	if last, _, err := balances.Read(t.Context(), fresh, "a"); err != nil || last != 599 {
		t.Errorf("balance %d, %v; want 599", last, err)
	}
}

func TestGarbageOnASubjectDoesNotChangeTheEntity(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	ours := logtest.OpenOn(t, server)
	if err := ours.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 5) }); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.JetStream().Publish(t.Context(), events.PrefixStock+"a", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	if err := ours.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 5) }); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*log.Log{ours, logtest.OpenOn(t, server)} {
		if got, _, err := tallies.Read(t.Context(), l, "a"); err != nil || got.Sum != 10 {
			t.Errorf("got %+v, %v; want 10", got, err)
		}
	}
}

func TestAnEventOfANewerVersionStopsTheFold(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	msg, err := events.Encode(events.Event{ID: "x", Time: l.Now(), Subject: events.PrefixStock + "a", Payload: plus(1)})
	if err != nil {
		t.Fatal(err)
	}
	msg.Header.Set(events.HeaderVersion, "99")
	if _, err := l.JetStream().PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tallies.Read(t.Context(), l, "a"); !errors.Is(err, log.ErrUnreadable) || !errors.Is(err, events.ErrUnknownVersion) {
		t.Errorf("got %v, want ErrUnreadable and ErrUnknownVersion", err)
	}
}

func TestTailSeesTheLastOfEachSubjectAndThenWhatFollows(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	for i := range int64(3) {
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return errors.Join(add(tx, "a", i), add(tx, "b", i)) }); err != nil {
			t.Fatal(err)
		}
	}
	caughtUp, heard := make(chan struct{}), make(chan int64, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- l.Tail(ctx, events.StreamInventory, []string{events.PrefixStock + "*"}, log.FromLastPerSubject, func() { close(caughtUp) },
			func(e events.Event) error { heard <- e.Payload.(events.StockAdjusted).Quantity; return nil })
	}()
	<-caughtUp
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 7) }); err != nil {
		t.Fatal(err)
	}
	if got := []int64{<-heard, <-heard, <-heard}; got[0] != 2 || got[1] != 2 || got[2] != 7 {
		t.Errorf("heard %v, want 2 2 7", got)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("tail ended with %v", err)
	}
}

func TestTheTraceGoesFromFactToFact(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	err := l.Do(t.Context(), func(tx *log.Tx) error {
		tx.Traced(trace)
		tx.About("o1")
		return add(tx, "a", 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Stream(events.StreamInventory)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := s.GetMsg(t.Context(), 1)
	if err != nil || msg.Header.Get(events.HeaderTraceParent) != trace || msg.Header.Get(events.HeaderCorrelationID) != "o1" {
		t.Errorf("headers %v, %v", msg.Header, err)
	}
}

func TestAScheduleFiresWithItsFact(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	heard := make(chan events.Event, 1)
	go func() {
		err := l.Tail(t.Context(), events.StreamTimers, []string{events.PrefixTimerFired + ">"}, log.FromBeginning, nil,
			func(e events.Event) error { heard <- e; return nil })
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	err := l.Do(t.Context(), func(tx *log.Tx) error {
		return log.Schedule(tx, "orders-1", tx.Now(), "orders", events.OrdersDue{Orders: []string{"o1"}, Due: tx.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	if e := <-heard; e.Payload.(events.OrdersDue).Orders[0] != "o1" || e.ID == "" {
		t.Errorf("heard %+v", e)
	}
}
