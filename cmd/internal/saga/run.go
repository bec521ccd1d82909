package saga

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// domain is what a process runs.
type domain interface {
	Deciders() []worker.Decider
	Actors() []worker.Actor
}

// sendsMail is the one actor that a saga does without.
const sendsMail = "notifications-mail"

// Replica is one process of a domain.
type Replica struct {
	Log    *log.Log
	Worker worker.Config
}

// Replica makes another process of a domain, not running yet.
func (s *Shop) Replica(t testing.TB, name string) *Replica {
	t.Helper()
	return s.replica(t, name, s.openLog(t, name))
}

func (s *Shop) replica(t testing.TB, name string, l *log.Log) *Replica {
	t.Helper()
	d, err := s.build(name, l)
	if err != nil {
		t.Fatal(err)
	}
	r := &Replica{Log: l, Worker: worker.Config{Deciders: d.Deciders()}}
	for _, a := range d.Actors() {
		if a.Name != sendsMail {
			r.Worker.Actors = append(r.Worker.Actors, a)
		}
	}
	return r
}

// Run works until the test ends or stop is called; stop waits for it.
func (r *Replica) Run(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := worker.New(r.Log, r.Worker).Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// Run starts the first process of each domain named, or of all.
func (s *Shop) Run(t testing.TB, names ...string) (stop func()) {
	t.Helper()
	if len(names) == 0 {
		names = Domains
	}
	var stops []func()
	for _, name := range names {
		stops = append(stops, s.replica(t, name, s.logs[name]).Run(t))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// streams are those whose consumers a saga waits for.
var streams = []string{events.StreamOrders, events.StreamInventory, events.StreamPayments, events.StreamNotifications, events.StreamTimers}

// Settle waits until every consumer has handled all there is, and nothing new has come of it.
func (s *Shop) Settle(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for ticker := time.NewTicker(5 * time.Millisecond); ; {
		before := s.length(t)
		idle, err := s.idle(ctx)
		if err == nil && idle && before == s.length(t) {
			ticker.Stop()
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("the shop does not come to rest: %v", err)
		}
	}
}

// idle reports whether no consumer has anything to do.
func (s *Shop) idle(ctx context.Context) (bool, error) {
	for _, name := range streams {
		stream, err := s.Log.Stream(name)
		if err != nil {
			return false, err
		}
		consumers := stream.ListConsumers(ctx)
		for info := range consumers.Info() {
			if info.NumPending > 0 || info.NumAckPending > 0 {
				return false, nil
			}
		}
		if err := consumers.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
			return false, err
		}
	}
	return s.Bank.idle(), nil
}

// length is how many events there are.
func (s *Shop) length(t testing.TB) (n uint64) {
	t.Helper()
	for _, name := range streams {
		n += s.Count(t, name)
	}
	return n
}

// Count is how many events one stream has.
func (s *Shop) Count(t testing.TB, name string) uint64 {
	t.Helper()
	stream, err := s.Log.Stream(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Msgs
}

// Verify applies the invariants to the log and fails the test with what they find.
func (s *Shop) Verify(t testing.TB, acknowledged ...string) invariants.Report {
	t.Helper()
	reader, err := replay.Open(t.Context(), logtest.Connect(t, s.Server))
	if err != nil {
		t.Fatal(err)
	}
	report, err := invariants.Check(t.Context(), invariants.Options{Log: reader, Acknowledged: acknowledged, Now: s.config.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("%s: %s: %s", f.Invariant, f.Subject, f.Detail)
	}
	return report
}

// Size is how many events there are in all, and the bytes that they take.
func (s *Shop) Size(t testing.TB) (n, bytes uint64) {
	t.Helper()
	for _, name := range streams {
		stream, err := s.Log.Stream(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n, bytes = n+info.State.Msgs, bytes+info.State.Bytes
	}
	return n, bytes
}
