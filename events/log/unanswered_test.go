package log_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// appends are one fact, which is published by itself, and several, which are a batch.
var appends = map[string][]string{"One": {"a"}, "Batch": {"a", "b", "c"}}

// Row 6 of the fault matrix: the commit was stored and only the answer is lost. Whoever waits for it learns that it was
// stored, and it is neither decided nor stored a second time.
func TestACommitWhoseAnswerIsLostIsRecognised(t *testing.T) {
	t.Parallel()
	for name, ids := range appends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			w.proxy.HoldAnswers()
			outcome := w.append(t, ids)
			until(t, "the facts are in the log", func() bool { return w.stored(t) == len(ids) })
			w.cut(t)
			w.expect(t, outcome, ids)
		})
	}
}

// Row 7 of the fault matrix: the commit never reached the broker. It is sent again, once.
func TestACommitThatNeverArrivedIsRepeated(t *testing.T) {
	t.Parallel()
	for name, ids := range appends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			w.proxy.Hold()
			outcome := w.append(t, ids)
			until(t, "the facts are on their way", w.proxy.Holding)
			w.cut(t)
			w.expect(t, outcome, ids)
		})
	}
}

// Rows 6 and 7 of the fault matrix, on a wire that is silent instead of broken: nothing is lost on it, it only takes
// longer than a try. The repetitions all arrive in the end, and one of them counts.
func TestACommitThatTakesLongerThanATryIsStoredOnce(t *testing.T) {
	t.Parallel()
	for name, ids := range appends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			w.proxy.Hold()
			outcome := w.append(t, ids)
			until(t, "the first try is given up", func() bool { return strings.Contains(w.said.String(), "append unanswered") })
			w.proxy.Release()
			w.expect(t, outcome, ids)
		})
	}
}

// Rows 7 and 28 of the fault matrix together: a commit about two entities goes unanswered, and meanwhile somebody else is
// faster at the second one. That nothing has happened to the first does not make it a conflict with ourselves: it is
// decided anew at once, and nobody behind it has to wait until patience ends.
func TestAConflictAfterALostTryIsDecidedAnew(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	if err := w.observer.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "b", 1) }); err != nil {
		t.Fatal(err)
	}
	outcome := make(chan error, 1)
	go func() {
		outcome <- w.writer.Do(t.Context(), func(tx *log.Tx) error {
			err := errors.Join(add(tx, "a", 1), add(tx, "b", 1))
			if w.decided++; w.decided == 1 {
				w.proxy.Hold()
			}
			return err
		})
	}()
	until(t, "the first try is given up", func() bool { return strings.Contains(w.said.String(), "append unanswered") })
	if err := w.observer.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "b", 1) }); err != nil {
		t.Fatal(err)
	}
	w.cut(t)
	if err := <-outcome; err != nil || w.decided != 2 {
		t.Errorf("decided %d times, %v, want twice", w.decided, err)
	}
	for id, want := range map[string]tally{"a": {1, 1}, "b": {3, 3}} {
		if got, _, err := tallies.Read(t.Context(), w.observer, id); err != nil || got != want {
			t.Errorf("%s is %+v, %v, want %+v", id, got, err, want)
		}
	}
}

// Row 7 of the fault matrix, for those who read an entity with a long history: the question is lost after the first event
// has been read. It is asked again.
func TestAHistoryThatIsNotHeardIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	const length = 20 // more than are read one by one
	for range length {
		if err := w.observer.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
			t.Fatal(err)
		}
	}
	var once sync.Once
	interrupted := log.Entity[tally]{Prefix: tallies.Prefix, Apply: func(s tally, e events.Event) (tally, error) {
		once.Do(w.proxy.Hold)
		return tallies.Apply(s, e)
	}}
	var got tally
	read := make(chan error, 1)
	go func() {
		var err error
		got, _, err = interrupted.Read(t.Context(), w.writer, "a")
		read <- err
	}()
	until(t, "the history is asked for", w.proxy.Holding)
	w.cut(t)
	if err := <-read; err != nil || got != (tally{length, length}) {
		t.Errorf("read %+v, %v; want %d events", got, err, length)
	}
}

// wire is a writer whose way to the broker can be cut, and an observer beside it.
type wire struct {
	proxy    *logtest.Proxy
	writer   *log.Log
	observer *log.Log
	said     *lines
	decided  int
}

func newWire(t *testing.T, change ...func(*log.Config)) *wire {
	t.Helper()
	server := logtest.Server(t)
	w := &wire{observer: logtest.OpenOn(t, server), said: &lines{}}
	w.proxy = logtest.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
	change = append([]func(*log.Config){func(c *log.Config) { c.Patience, c.Logger = 20*time.Second, w.said.logger() }}, change...)
	w.writer = logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+w.proxy.Addr()), change...)
	return w
}

// append decides one thing about each entity, while the test goes on.
func (w *wire) append(t *testing.T, ids []string) <-chan error {
	t.Helper()
	outcome := make(chan error, 1)
	go func() {
		outcome <- w.writer.Do(t.Context(), func(tx *log.Tx) error {
			w.decided++
			var problems []error
			for _, id := range ids {
				_, err := tallies.LoadNew(tx, id)
				problems = append(problems, err, tallies.Append(tx, id, plus(1)))
			}
			return errors.Join(problems...)
		})
	}()
	return outcome
}

func (w *wire) stored(t *testing.T) int { return int(messages(t, w.observer, events.StreamShop)) }

// cut loses what is on the wire. The connection is made anew.
func (w *wire) cut(t *testing.T) {
	t.Helper()
	w.proxy.Refuse()
	until(t, "the connection is gone", func() bool { return !w.writer.JetStream().Conn().IsConnected() })
	w.proxy.Release()
}

// expect waits for the outcome: stored, decided once, each fact there once.
func (w *wire) expect(t *testing.T, outcome <-chan error, ids []string) {
	t.Helper()
	if err := <-outcome; err != nil {
		t.Errorf("the append ended with %v", err)
	}
	if w.decided != 1 {
		t.Errorf("decided %d times, want once", w.decided)
	}
	for _, id := range ids {
		if got, _, err := tallies.Read(t.Context(), w.observer, id); err != nil || got != (tally{1, 1}) {
			t.Errorf("%s is %+v, %v, want one fact", id, got, err)
		}
	}
	// What it takes to be the state must be it: the next decision goes through at the first attempt.
	if err := w.writer.Do(t.Context(), func(tx *log.Tx) error { w.decided++; return add(tx, ids[0], 1) }); err != nil || w.decided != 2 {
		t.Errorf("the next decision took %d attempts: %v", w.decided-1, err)
	}
	if n := w.stored(t); n != len(ids)+1 {
		t.Errorf("%d facts in the log, want %d", n, len(ids)+1)
	}
}
