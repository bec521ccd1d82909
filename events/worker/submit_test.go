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

// What is submitted to the loop is decided with all that follows from it, in one transaction, before Complete returns.
func TestCompleteReturnsWithWhatFollows(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	s := newShop()
	p := start(t, l, s.all(l))
	p.holds(t, lanes...)
	err := l.ForDomain("orders").DoCascade(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, "a", events.OrderPlaced{OrderID: "a"}) })
	if err != nil {
		t.Fatal(err)
	}
	facts := read(t, l, "")
	if len(facts) != 1+len(chain) {
		t.Errorf("%d facts when it returned, want %d", len(facts), 1+len(chain))
	}
	for _, e := range facts {
		if !e.Time.Equal(facts[0].Time) {
			t.Errorf("%s was decided at %s, want with the others at %s", e.Type, e.Time, facts[0].Time)
		}
	}
	if facts[0].Source != "orders" {
		t.Errorf("said by %s, want orders", facts[0].Source)
	}
	p.caughtUp(t, lanes...)
	for call, n := range s.counted() {
		if n != 1 {
			t.Errorf("%s was handled %d times", call, n)
		}
	}
}

// Whoever calls Complete gets the answer that Do would give, and nothing is stored of what was refused.
func TestCompleteAnswersAsDoWould(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, only(marker(l)))
	p.holds(t, "inventory")
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
		"ItsOwnRequestIsGivenUp": {func(*eventlog.Tx) error { return gone.Err() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			if err := l.ForDomain("orders").DoCascade(t.Context(), c.fn); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if n := end(t, l); n != 0 {
				t.Errorf("%d facts are stored, want none", n)
			}
			if p.Ready() != nil {
				t.Errorf("the worker is not ready: %v", p.Ready())
			}
		})
	}
	place(t, l, "good")
	expect(t, l, events.PrefixReservation, 1)
}

// What one submits fails for reasons of its own, and the others that are decided together with it do not fail with it.
func TestASubmissionFailsAlone(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, only(marker(l)))
	p.holds(t, "inventory")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	var begun atomic.Int64
	p.together(t, func() {
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
					t.Errorf("submission %d: %v", i, err)
				}
			})
		}
	}, func() bool { return begun.Load() == 40 })
	all.Wait()
	p.caughtUp(t, "inventory")
	if n := count(t, l, events.PrefixReservation); n != 20 {
		t.Errorf("%d marks, want 20", n)
	}
}

// Two submissions about one entity in one transaction: each decides on what the other said.
func TestCompleteDecidesOnTheNewestState(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, only(marker(l)))
	p.holds(t, "inventory")
	var taken atomic.Int64
	var all sync.WaitGroup
	errTaken := errors.New("taken already")
	for range 50 {
		all.Go(func() {
			err := l.DoCascade(t.Context(), func(tx *eventlog.Tx) error {
				said, err := payments.Load(tx, "a")
				if err != nil || len(said) > 0 {
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
		t.Errorf("%d were told that they captured, %d captures are stored; want one of each", taken.Load(), n)
	}
}

// A panic in what is submitted is the submitter's, as with Do. The loop goes on.
func TestAPanicInCompleteIsTheCallers(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, only(marker(l)))
	p.holds(t, "inventory")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("nobody was told")
			}
		}()
		_ = l.DoCascade(t.Context(), func(*eventlog.Tx) error { panic("in fn") })
	}()
	if err := l.DoCascade(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, "a", events.OrderPlaced{OrderID: "a"}) }); err != nil {
		t.Fatal(err)
	}
	p.caughtUp(t, "inventory")
	if n := count(t, l, events.PrefixReservation); n != 1 {
		t.Errorf("%d marks, want 1", n)
	}
}

// While a worker stops, and afterwards, Complete returns as before: nobody waits for a loop that has ended.
func TestCompleteReturnsDuringAStop(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	p := start(t, l, only(marker(l)))
	p.holds(t, "inventory")
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
		t.Errorf("%d orders, want %d", n, 10*each)
	}
	start(t, l, only(marker(l))).caughtUp(t, "inventory")
	if n := count(t, l, events.PrefixReservation); n != 10*each {
		t.Errorf("%d marks, want %d", n, 10*each)
	}
}

// Whoever gives up while the loop is busy is told so, and what was submitted is not decided any more.
func TestWhatIsGivenUpIsNotDecided(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	busy, free := make(chan struct{}), make(chan struct{})
	p := start(t, l, only(onPlaced(l, func(*eventlog.Tx, string) error {
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
	if err := within(t, patience, answer, "an answer"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want that it was given up", err)
	}
	before := decided.Load()
	close(free)
	p.caughtUp(t, "inventory")
	if decided.Load() != before || count(t, l, events.PrefixPayment) != 0 {
		t.Error("it was decided afterwards")
	}
}

// A broker that does not answer makes Complete say so, and not wait for it to come back; then it works again.
func TestCompleteWithoutABroker(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, wire := wired(t, server.URL(), func(c *eventlog.Config) { c.Patience = time.Second })
	p := start(t, l, only(marker(l)))
	p.holds(t, "inventory")
	place(t, l, "a")
	p.caughtUp(t, "inventory")
	wire.Refuse()
	until(t, "the worker says that it does not read the log", func() bool { return errors.Is(p.Ready(), eventlog.ErrUnavailable) })
	say := func(tx *eventlog.Tx) error { return once(tx, orders, "b", events.OrderPlaced{OrderID: "b"}) }
	for range 2 {
		answer := make(chan error, 1)
		go func() { answer <- l.DoCascade(t.Context(), say) }()
		if err := within(t, 30*time.Second, answer, "an answer"); !errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	}
	wire.Release()
	until(t, "the worker is ready", func() bool { return p.Ready() == nil })
	if err := l.DoCascade(t.Context(), say); err != nil {
		t.Error(err)
	}
	observer := logtest.OpenOn(t, server)
	expect(t, observer, events.PrefixReservation, 2)
	if n := count(t, observer, events.PrefixOrder+"b"); n != 1 {
		t.Errorf("order b was placed %d times", n)
	}
}

// A domain that has much to catch up with does not keep those waiting who submit something.
func TestCompleteDoesNotWaitForABacklog(t *testing.T) {
	t.Parallel()
	const backlog = 6000
	l := logtest.Open(t)
	placeMany(t, l, "o", backlog)
	var handled atomic.Int64
	begun := make(chan struct{})
	answer := make(chan error, 1)
	p := start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error {
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
		t.Errorf("it waited for all %d events", n)
	}
	if err := <-answer; err != nil {
		t.Error(err)
	}
	p.caughtUp(t, "inventory")
}
