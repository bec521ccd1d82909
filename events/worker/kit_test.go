package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// patience bounds how long a test waits for a fact.
const patience = time.Minute

func only(domains ...worker.Domain) worker.Config { return worker.Config{Domains: domains} }

func place(t testing.TB, l *eventlog.Log, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, id, events.OrderPlaced{OrderID: id}) }); err != nil {
			t.Fatal(err)
		}
	}
}

// placeMany places n orders, many in a commit, and returns their ids.
func placeMany(t testing.TB, l *eventlog.Log, name string, n int) (ids []string) {
	t.Helper()
	for len(ids) < n {
		first := len(ids)
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			ids = ids[:first]
			for len(ids) < n && len(ids)-first < eventlog.MaxBatch {
				id := fmt.Sprintf("%s%d", name, len(ids))
				if _, err := orders.LoadNew(tx, id); err != nil { // spares a question to the broker for each
					return err
				}
				if err := orders.Append(tx, id, events.OrderPlaced{OrderID: id}); err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// process is a worker that runs.
type process struct {
	*worker.Worker
	log    *eventlog.Log
	cancel func() // does not wait
	stop   func() // and wait
}

// start runs a worker until the test ends or it is stopped.
func start(t testing.TB, l *eventlog.Log, config worker.Config) *process {
	t.Helper()
	w, err := worker.New(t.Context(), l, config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	p := &process{Worker: w, log: l, cancel: cancel, stop: func() { cancel(); <-done }}
	t.Cleanup(p.stop)
	return p
}

func (p *process) lane(t testing.TB, name string) worker.LaneStatus {
	t.Helper()
	for _, l := range p.Lanes() {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no lane %s", name)
	return worker.LaneStatus{}
}

// holds waits until a worker has lanes.
func (p *process) holds(t testing.TB, lanes ...string) {
	t.Helper()
	for _, name := range lanes {
		until(t, "the worker has "+name, func() bool { return p.lane(t, name).Leased })
	}
}

// caughtUp waits until lanes have handled all of the log.
func (p *process) caughtUp(t testing.TB, lanes ...string) {
	t.Helper()
	for _, name := range lanes {
		end := end(t, p.log)
		until(t, fmt.Sprintf("%s has handled %d events", name, end), func() bool {
			l := p.lane(t, name)
			return l.Leased && l.Position >= end && l.Open == 0
		})
	}
}

// until polls for a fact.
func until(t testing.TB, what string, fact func() bool) {
	t.Helper()
	again, enough := time.NewTicker(2*time.Millisecond), time.After(patience)
	defer again.Stop()
	for !fact() {
		select {
		case <-again.C:
		case <-enough:
			t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}

// within waits for something that is to happen in time.
func within[T any](t testing.TB, d time.Duration, c <-chan T, what string) (value T) {
	t.Helper()
	select {
	case value = <-c:
	case <-time.After(d):
		t.Fatalf("not within %s: %s", d, what)
	}
	return value
}

func end(t testing.TB, l *eventlog.Log) uint64 {
	t.Helper()
	last, err := l.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// read returns the events under a prefix that are in the log.
func read(t testing.TB, l *eventlog.Log, prefix string) (got []events.Event) {
	t.Helper()
	last, enough := end(t, l), errors.New("enough")
	if last == 0 {
		return nil
	}
	err := l.Follow(t.Context(), 1, func(m eventlog.Message) error {
		if e, err := m.Event(); err == nil && strings.HasPrefix(m.Subject, prefix) {
			got = append(got, e)
		}
		if m.Sequence >= last {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	return got
}

// expect waits until n events stand under a prefix, and returns them.
func expect(t testing.TB, l *eventlog.Log, prefix string, n int) []events.Event {
	t.Helper()
	until(t, fmt.Sprintf("%d events stand under %s", n, prefix), func() bool { return count(t, l, prefix) >= n })
	return read(t, l, prefix)[:n]
}

// count is how many messages stand under a prefix, or on a subject.
func count(t testing.TB, l *eventlog.Log, prefix string) int {
	t.Helper()
	return countIn(t, l, events.StreamShop, prefix)
}

func countIn(t testing.TB, l *eventlog.Log, stream, prefix string) (n int) {
	t.Helper()
	s, err := l.JetStream().Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	filter := prefix
	if strings.HasSuffix(prefix, ".") {
		filter += ">"
	}
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(filter))
	if err != nil {
		t.Fatal(err)
	}
	for _, messages := range info.State.Subjects {
		n += int(messages)
	}
	return n
}

// deadLetters waits until a lane has n of them, and returns them.
func deadLetters(t testing.TB, l *eventlog.Log, lane string, n int) (got []events.DeadLettered) {
	t.Helper()
	prefix := events.PrefixDeadLetter + lane + "."
	until(t, fmt.Sprintf("%s has %d dead letters", lane, n), func() bool { return countIn(t, l, events.StreamDeadLetters, prefix) >= n })
	c, err := l.JetStream().OrderedConsumer(t.Context(), events.StreamDeadLetters, jetstream.OrderedConsumerConfig{FilterSubjects: []string{prefix + ">"}})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		m, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		e, err := events.Decode(m.Subject(), m.Headers(), m.Data())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Payload.(events.DeadLettered))
	}
	return got
}

// metric reads what a lane's metric shows.
func metric(t testing.TB, registry *prometheus.Registry, name, lane string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == lane {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s of %s", name, lane)
	return 0
}

// forget makes a lane begin at the beginning of the log.
func forget(t testing.TB, l *eventlog.Log, lane string) {
	t.Helper()
	checkpoints, err := l.JetStream().KeyValue(t.Context(), "checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoints.Purge(t.Context(), lane); err != nil {
		t.Fatal(err)
	}
}

// wired is a log whose connection a test can cut.
func wired(t testing.TB, url string, change ...func(*eventlog.Config)) (*eventlog.Log, *logtest.Proxy) {
	t.Helper()
	wire := logtest.NewProxy(t, strings.TrimPrefix(url, "nats://"))
	return logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+wire.Addr()), change...), wire
}

// together has the loop of a worker stand still until something has happened, so that all of that is there for its next
// round.
func (p *process) together(t testing.TB, do func(), happened func() bool) {
	t.Helper()
	busy, free, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- p.log.DoCascade(t.Context(), func(*eventlog.Tx) error {
			close(busy)
			<-free
			return nil
		})
	}()
	<-busy
	do()
	until(t, "it has happened", happened)
	close(free)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func pause(t testing.TB, l *eventlog.Log, until time.Time, lanes ...string) {
	t.Helper()
	for _, lane := range lanes {
		if err := worker.PauseLane(t.Context(), l.ForDomain("ops"), lane, until); err != nil {
			t.Fatal(err)
		}
	}
}

func resume(t testing.TB, l *eventlog.Log, lanes ...string) {
	t.Helper()
	for _, lane := range lanes {
		if err := worker.ResumeLane(t.Context(), l.ForDomain("ops"), lane); err != nil {
			t.Fatal(err)
		}
	}
}

// say publishes an event that no lane or operator would.
func say(t testing.TB, l *eventlog.Log, e events.Event) {
	t.Helper()
	e.ID, e.Time = e.Subject, time.Now()
	msg, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.JetStream().PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}
