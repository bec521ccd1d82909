package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

// A submitted decision and its cascade are one transaction, which is committed when DoCascade returns.
func TestDoCascadeReturnsAfterTheCascade(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	s := newShop()
	p := start(t, l, s.all(l))
	p.waitLeased(t, lanes...)
	err := l.ForDomain("orders").DoCascade(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, "a", events.OrderPlaced{OrderID: "a"}) })
	if err != nil {
		t.Fatal(err)
	}
	facts := readEvents(t, l, "")
	if len(facts) != 1+len(chain) {
		t.Errorf("got %d facts after DoCascade, want %d", len(facts), 1+len(chain))
	}
	for _, e := range facts {
		if !e.Time.Equal(facts[0].Time) {
			t.Errorf("%s: got time %s, want %s as the others", e.Type, e.Time, facts[0].Time)
		}
	}
	if facts[0].Source != "orders" {
		t.Errorf("source: got %s, want orders", facts[0].Source)
	}
	p.caughtUp(t, lanes...)
	for call, n := range s.counted() {
		if n != 1 {
			t.Errorf("%s: got %d calls, want 1", call, n)
		}
	}
}

// DoCascade returns the errors that Do would, and nothing of a refused decision is stored.
func TestDoCascadeReturnsTheErrorsOfDo(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, configOf(marker(l)))
	p.waitLeased(t, "inventory")
	errRefused := errors.New("refused by rule")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		fn   func(tx *eventlog.Tx) error
		want error
	}{
		"Refusal": {func(tx *eventlog.Tx) error {
			return errors.Join(orders.Append(tx, "x", events.OrderPlaced{OrderID: "x"}), errRefused)
		}, errRefused},
		"NotOwner": {func(tx *eventlog.Tx) error { return payments.Append(tx, "x", events.PaymentFailed{}) }, eventlog.ErrNotOwner},
		"TooLarge": {func(tx *eventlog.Tx) error {
			for i := range eventlog.MaxBatch + 1 {
				if err := orders.Append(tx, fmt.Sprintf("x%d", i), events.OrderPlaced{}); err != nil {
					return err
				}
			}
			return nil
		}, eventlog.ErrTooLarge},
		"CancelledRequest": {func(*eventlog.Tx) error { return gone.Err() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			if err := l.ForDomain("orders").DoCascade(t.Context(), c.fn); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if n := lastSequence(t, l); n != 0 {
				t.Errorf("got %d facts, want none", n)
			}
			if p.Ready() != nil {
				t.Errorf("ready: got %v, want nil", p.Ready())
			}
		})
	}
	place(t, l, "good")
	waitEvents(t, l, events.PrefixReservation, 1)
}

// A submitted decision that fails for a reason of its own does not fail the decisions made together with it.
func TestSubmittedDecisionFailsAlone(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, configOf(marker(l)))
	p.waitLeased(t, "inventory")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	var begun atomic.Int64
	p.inOneRound(t, func() {
		for i := range 40 {
			all.Go(func() {
				begun.Add(1)
				err := l.DoCascade(t.Context(), func(tx *eventlog.Tx) error {
					if i%2 == 0 {
						return gone.Err()
					}
					return orders.Append(tx, fmt.Sprint("o", i), events.OrderPlaced{OrderID: fmt.Sprint("o", i)})
				})
				if fails := i%2 == 0; fails != (err != nil) || fails && !errors.Is(err, context.Canceled) {
					t.Errorf("decision %d: got %v, want that every other one is cancelled", i, err)
				}
			})
		}
	}, func() bool { return begun.Load() == 40 })
	all.Wait()
	p.caughtUp(t, "inventory")
	checkMarks(t, l, 20)
}

// Of two submitted decisions about one entity in one transaction, the second is made on the state after the first.
func TestSubmittedDecisionsSeeEachOther(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, configOf(marker(l)))
	p.waitLeased(t, "inventory")
	var taken atomic.Int64
	var all sync.WaitGroup
	errTaken := errors.New("taken already")
	for range 50 {
		all.Go(func() {
			err := l.DoCascade(t.Context(), func(tx *eventlog.Tx) error {
				stored, err := payments.Load(tx, "a")
				if err != nil || len(stored) > 0 {
					return errors.Join(err, errTaken)
				}
				return payments.Append(tx, "a", events.PaymentCaptured{OrderID: "a"})
			})
			switch {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, errTaken):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := count(t, l, events.PrefixPayment); taken.Load() != 1 || n != 1 {
		t.Errorf("got %d successful callers and %d captures, want one of each", taken.Load(), n)
	}
}

// A panic in a submitted decision reaches its caller, as with Do. The loop continues.
func TestPanicOfASubmittedDecisionReachesItsCaller(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, configOf(marker(l)))
	p.waitLeased(t, "inventory")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the caller got no panic")
			}
		}()
		_ = l.DoCascade(t.Context(), func(*eventlog.Tx) error { panic("in fn") })
	}()
	if err := l.DoCascade(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, "a", events.OrderPlaced{OrderID: "a"}) }); err != nil {
		t.Fatal(err)
	}
	p.caughtUp(t, "inventory")
	checkMarks(t, l, 1)
}

// While a worker stops, and afterwards, DoCascade returns as before: no caller waits for a loop that has ended.
func TestDoCascadeReturnsWhileTheWorkerStops(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, configOf(marker(l)))
	p.waitLeased(t, "inventory")
	const each = 60
	var all sync.WaitGroup
	begun := make(chan struct{}, 10*each)
	for w := range 10 {
		all.Go(func() {
			for i := range each {
				begun <- struct{}{}
				id := fmt.Sprintf("o%d-%d", w, i)
				if err := l.DoCascade(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, id, events.OrderPlaced{OrderID: id}) }); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
		})
	}
	for range 10 * each / 3 {
		<-begun
	}
	p.stop()
	all.Wait()
	if n := count(t, l, events.PrefixOrder); n != 10*each {
		t.Errorf("got %d orders, want %d", n, 10*each)
	}
	start(t, l, configOf(marker(l))).caughtUp(t, "inventory")
	checkMarks(t, l, 10*each)
}

// A caller whose context ends while the loop is busy gets the context's error, and its decision is not made later.
func TestCancelledSubmissionIsNotDecided(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	busy, free := make(chan struct{}), make(chan struct{})
	p := start(t, l, configOf(onPlaced(l, func(*eventlog.Tx, string) error {
		busy <- struct{}{}
		<-free
		return nil
	})))
	place(t, l, "a")
	<-busy
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var decided atomic.Int64
	answer := make(chan error, 1)
	go func() {
		answer <- l.DoCascade(ctx, func(tx *eventlog.Tx) error {
			decided.Add(1)
			return payments.Append(tx, "a", events.PaymentFailed{})
		})
	}()
	if err := receive(t, patience, answer, "DoCascade returns"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	before := decided.Load()
	close(free)
	p.caughtUp(t, "inventory")
	if decided.Load() != before || count(t, l, events.PrefixPayment) != 0 {
		t.Errorf("got %d decisions, want %d as before", decided.Load(), before)
	}
}

// Without a broker DoCascade returns an error instead of waiting for the broker. It works again when the broker is
// back.
func TestDoCascadeReturnsErrUnavailableWithoutABroker(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, proxy := openThroughProxy(t, server.URL(), func(c *eventlog.Config) { c.Patience = time.Second })
	p := start(t, l, configOf(marker(l)))
	p.waitLeased(t, "inventory")
	place(t, l, "a")
	p.caughtUp(t, "inventory")
	proxy.Refuse()
	waitUntil(t, "readiness reports the connection", func() bool { return errors.Is(p.Ready(), eventlog.ErrUnavailable) })
	placeB := func(tx *eventlog.Tx) error { return once(tx, orders, "b", events.OrderPlaced{OrderID: "b"}) }
	for range 2 {
		answer := make(chan error, 1)
		go func() { answer <- l.DoCascade(t.Context(), placeB) }()
		if err := receive(t, 30*time.Second, answer, "DoCascade returns"); !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	proxy.Release()
	waitUntil(t, "the worker is ready", func() bool { return p.Ready() == nil })
	if err := l.DoCascade(t.Context(), placeB); err != nil {
		t.Error(err)
	}
	observer := logtest.OpenOn(t, server)
	waitEvents(t, observer, events.PrefixReservation, 2)
	if n := count(t, observer, events.PrefixOrder+"b"); n != 1 {
		t.Errorf("got %d events of order b, want 1", n)
	}
}

// A domain with a backlog does not delay submitted decisions until it has caught up.
func TestDoCascadeDoesNotWaitForABacklog(t *testing.T) {
	t.Parallel()
	const backlog = 6000
	l := logtest.Open(t)
	placeMany(t, l, "o", backlog)
	var handled atomic.Int64
	begun := make(chan struct{})
	answer := make(chan error, 1)
	p := start(t, l, configOf(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		if handled.Add(1) == 1 {
			submitting := make(chan struct{})
			go func() {
				close(submitting)
				answer <- l.DoCascade(t.Context(), func(tx *eventlog.Tx) error {
					close(begun)
					return payments.Append(tx, "a", events.PaymentFailed{})
				})
			}()
			<-submitting
		}
		return markOnce(tx, id)
	})))
	<-begun
	if n := handled.Load(); n >= backlog {
		t.Errorf("the decision waited for all %d events", n)
	}
	if err := <-answer; err != nil {
		t.Error(err)
	}
	p.caughtUp(t, "inventory")
}
