package log_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tillstream/events/log"
	"tillstream/events/log/logtest"
)

// Rows 7 and 13 of the fault matrix, on machines that are slow: a process whose connection is taken to another broker
// every few seconds is served by none.
func TestTheConnectionIsTakenElsewhereEverMoreRarely(t *testing.T) {
	t.Parallel()
	w := newWanderer(t)
	w.asks(t, "at once", 0, false)
	w.asks(t, "after a while", 3*time.Second, true)
	w.asks(t, "3 s later", 3*time.Second, false)
	w.asks(t, "6 s later", 3*time.Second, true)
	w.asks(t, "9 s later", 9*time.Second, false)
	w.asks(t, "12 s later", 3*time.Second, true)
	w.asks(t, "24 s later", 24*time.Second, true)
	w.asks(t, "30 s later", 30*time.Second, true)
	w.asks(t, "30 s later again", 30*time.Second, true)
	w.asks(t, "when all had been well", 2*time.Minute, true)
	w.asks(t, "3 s after that", 3*time.Second, true)
}

// A connection that is down already is being made anew, which to begin again with helps nobody.
func TestAConnectionThatIsDownIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWanderer(t)
	for _, way := range w.ways {
		way.Refuse()
	}
	until(t, "the connection is down", func() bool { return !w.conn.IsConnected() })
	w.asks(t, "while it is down", time.Hour, false)
	for _, way := range w.ways {
		way.Release()
	}
	until(t, "the connection is back", w.conn.IsConnected)
	w.asks(t, "when it is back", 0, true)
}

// A broker that is cut off from the others goes on as if it were the whole cluster. A process that has seen more of an entity
// than it knows must not take the entity back to what it was, and decide on that.
func TestABrokerThatIsBehindIsNotBelieved(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t, func(c *log.Config) { c.Patience = 200 * time.Millisecond })
	if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "a", 1) }); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "new"} {
		subject, err := tallies.Subject(id)
		if err != nil {
			t.Fatal(err)
		}
		l.Observe(log.Message{Subject: subject, Sequence: 1000})
		if n, _, err := tallies.Read(t.Context(), l, id); !errors.Is(err, log.ErrUnavailable) {
			t.Errorf("%s reads as %+v, %v; want ErrUnavailable", id, n, err)
		}
		if err := l.Do(t.Context(), func(tx *log.Tx) error { return add(tx, id, 1) }); !errors.Is(err, log.ErrUnavailable) {
			t.Errorf("decided about %s: %v; want ErrUnavailable", id, err)
		}
	}
}

// wanderer is a log on a broker that is known by two addresses, and a clock.
type wanderer struct {
	log     *log.Log
	conn    *nats.Conn
	ways    []*logtest.Proxy
	written lines
	passed  atomic.Int64 // nanoseconds
}

func newWanderer(t *testing.T) *wanderer {
	t.Helper()
	w, server, began := &wanderer{}, logtest.Server(t), time.Now()
	var urls []string
	for range 2 {
		way := logtest.NewProxy(t, strings.TrimPrefix(server.URL(), "nats://"))
		w.ways, urls = append(w.ways, way), append(urls, "nats://"+way.Addr())
	}
	w.conn = logtest.ConnectTo(t, strings.Join(urls, ","))
	w.log = logtest.OpenOver(t, w.conn, func(c *log.Config) {
		c.Logger = w.written.logger()
		c.Now = func() time.Time { return began.Add(time.Duration(w.passed.Load())) }
	})
	return w
}

// asks has somebody who is not served say so after some time, and sees whether the connection is taken away.
func (w *wanderer) asks(t *testing.T, when string, after time.Duration, moves bool) {
	t.Helper()
	w.passed.Add(int64(after))
	before := strings.Count(w.written.String(), "reconnecting to another server")
	w.log.Failover()
	if moved := strings.Count(w.written.String(), "reconnecting to another server") > before; moved != moves {
		t.Errorf("%s the connection was taken elsewhere: %t, want %t", when, moved, moves)
	}
	if moves {
		until(t, "the connection is made", w.conn.IsConnected)
	}
}

// Row 13 of the fault matrix, for those who read: the connection goes while they wait for the answer.
func TestAQuestionIsAskedAgainOnTheNextConnection(t *testing.T) {
	t.Parallel()
	w := newWanderer(t)
	if err := w.log.Do(t.Context(), func(tx *log.Tx) error { return add(tx, "apples", 1) }); err != nil {
		t.Fatal(err)
	}
	for _, way := range w.ways {
		way.Hold()
	}
	read := make(chan error, 1)
	go func() {
		_, _, err := tallies.Read(t.Context(), w.log, "apples")
		read <- err
	}()
	until(t, "somebody waits for an answer", func() bool { return w.ways[0].Holding() || w.ways[1].Holding() })
	if err := w.conn.ForceReconnect(); err != nil {
		t.Error(err)
	}
	for _, way := range w.ways {
		way.Release()
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
}
