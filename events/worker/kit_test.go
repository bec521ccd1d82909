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

// patience bounds how long a test waits for a condition.
const patience = time.Minute

func configOf(domains ...worker.Domain) worker.Config { return worker.Config{Domains: domains} }

func place(t testing.TB, l *eventlog.Log, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return orders.Append(tx, id, events.OrderPlaced{OrderID: id}) }); err != nil {
			t.Fatal(err)
		}
	}
}

// placeMany places n orders, up to a batch in one commit, and returns their ids.
func placeMany(t testing.TB, l *eventlog.Log, name string, n int) (orderIDs []string) {
	t.Helper()
	for len(orderIDs) < n {
		first := len(orderIDs)
		err := l.Do(t.Context(), func(tx *eventlog.Tx) error {
			orderIDs = orderIDs[:first]
			for len(orderIDs) < n && len(orderIDs)-first < eventlog.MaxBatch {
				id := fmt.Sprintf("%s%d", name, len(orderIDs))
				if _, err := orders.LoadNew(tx, id); err != nil { // saves a request to the broker
					return err
				}
				if err := orders.Append(tx, id, events.OrderPlaced{OrderID: id}); err != nil {
					return err
				}
				orderIDs = append(orderIDs, id)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return orderIDs
}

// process is a running worker.
type process struct {
	*worker.Worker
	log    *eventlog.Log
	cancel func() // begins to stop
	stop   func() // stops, and waits until it has ended
}

// start runs a worker until it is stopped or the test ends.
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

// waitLeased waits until the process has the leases of lanes.
func (p *process) waitLeased(t testing.TB, lanes ...string) {
	t.Helper()
	for _, name := range lanes {
		waitUntil(t, "the worker has "+name, func() bool { return p.lane(t, name).Leased })
	}
}

// caughtUp waits until lanes have handled the whole log.
func (p *process) caughtUp(t testing.TB, lanes ...string) {
	t.Helper()
	for _, name := range lanes {
		end := lastSequence(t, p.log)
		waitUntil(t, fmt.Sprintf("%s has handled %d events", name, end), func() bool {
			l := p.lane(t, name)
			return l.Leased && l.Position >= end && l.Open == 0
		})
	}
}

// waitUntil polls until a condition holds.
func waitUntil(t testing.TB, condition string, holds func() bool) {
	t.Helper()
	ticker, timeout := time.NewTicker(2*time.Millisecond), time.After(patience)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("not within %s: %s", patience, condition)
		}
	}
}

// receive receives from a channel, and fails the test after d.
func receive[T any](t testing.TB, d time.Duration, c <-chan T, event string) (value T) {
	t.Helper()
	select {
	case value = <-c:
	case <-time.After(d):
		t.Fatalf("not within %s: %s", d, event)
	}
	return value
}

func lastSequence(t testing.TB, l *eventlog.Log) uint64 {
	t.Helper()
	last, err := l.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// readEvents returns the events of the log under a prefix.
func readEvents(t testing.TB, l *eventlog.Log, prefix string) (got []events.Event) {
	t.Helper()
	last, errEnd := lastSequence(t, l), errors.New("end")
	if last == 0 {
		return nil
	}
	err := l.Follow(t.Context(), 1, func(m eventlog.Message) error {
		if e, err := m.Event(); err == nil && strings.HasPrefix(m.Subject, prefix) {
			got = append(got, e)
		}
		if m.Sequence >= last {
			return errEnd
		}
		return nil
	})
	if !errors.Is(err, errEnd) {
		t.Fatal(err)
	}
	return got
}

// waitEvents waits until the log has n events under a prefix, and returns them.
func waitEvents(t testing.TB, l *eventlog.Log, prefix string, n int) []events.Event {
	t.Helper()
	waitUntil(t, fmt.Sprintf("there are %d events under %s", n, prefix), func() bool { return count(t, l, prefix) >= n })
	return readEvents(t, l, prefix)[:n]
}

// count returns how many messages the log has under a prefix, or on a subject.
func count(t testing.TB, l *eventlog.Log, prefix string) int {
	t.Helper()
	return countIn(t, l, events.StreamShop, prefix)
}

// checkMarks checks how many orders have their mark, see marker.
func checkMarks(t testing.TB, l *eventlog.Log, want int) {
	t.Helper()
	if got := count(t, l, events.PrefixReservation); got != want {
		t.Errorf("got %d marks, want %d", got, want)
	}
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

// deadLetters waits until a lane has n dead letters, and returns them.
func deadLetters(t testing.TB, l *eventlog.Log, lane string, n int) (got []events.DeadLettered) {
	t.Helper()
	prefix := events.PrefixDeadLetter + lane + "."
	waitUntil(t, fmt.Sprintf("%s has %d dead letters", lane, n), func() bool { return countIn(t, l, events.StreamDeadLetters, prefix) >= n })
	for _, e := range readDeadLetters(t, l, prefix+">", n) {
		got = append(got, e.Payload.(events.DeadLettered))
	}
	return got
}

// readDeadLetters returns the first n events of DEADLETTERS that match a filter.
func readDeadLetters(t testing.TB, l *eventlog.Log, filter string, n int) (got []events.Event) {
	t.Helper()
	c, err := l.JetStream().OrderedConsumer(t.Context(), events.StreamDeadLetters, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
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
		got = append(got, e)
	}
	return got
}

// metric returns the value of a lane's metric.
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

// deleteCheckpoint deletes the checkpoint of a lane, so that it begins at the start of the log.
func deleteCheckpoint(t testing.TB, l *eventlog.Log, lane string) {
	t.Helper()
	checkpoints, err := l.JetStream().KeyValue(t.Context(), "checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoints.Purge(t.Context(), lane); err != nil {
		t.Fatal(err)
	}
}

// openThroughProxy opens a log through a proxy, by which a test can break the connection.
func openThroughProxy(t testing.TB, url string, change ...func(*eventlog.Config)) (*eventlog.Log, *logtest.Proxy) {
	t.Helper()
	proxy := logtest.NewProxy(t, strings.TrimPrefix(url, "nats://"))
	return logtest.OpenOver(t, logtest.ConnectTo(t, "nats://"+proxy.Addr()), change...), proxy
}

// inOneRound keeps the loop of a worker busy until do has had its effect, so that the next round has all of it.
func (p *process) inOneRound(t testing.TB, do func(), happened func() bool) {
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
	waitUntil(t, "the effect is there", happened)
	close(free)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func pause(t testing.TB, l *eventlog.Log, until time.Time, lanes ...string) {
	t.Helper()
	for _, lane := range lanes {
		if err := worker.PauseLane(t.Context(), l.ForDomain("ops"), lane, until, events.Author{Actor: "key:ops"}); err != nil {
			t.Fatal(err)
		}
	}
}

func resume(t testing.TB, l *eventlog.Log, lanes ...string) {
	t.Helper()
	for _, lane := range lanes {
		if err := worker.ResumeLane(t.Context(), l.ForDomain("ops"), lane, events.Author{Actor: "key:ops"}); err != nil {
			t.Fatal(err)
		}
	}
}

// publish publishes an event that lanes and operators do not append.
func publish(t testing.TB, l *eventlog.Log, e events.Event) {
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
