package saga

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/orders"
)

// streams are those whose consumers a saga waits for.
var streams = []string{events.StreamOrders, events.StreamInventory, events.StreamPayments, events.StreamNotifications, events.StreamTimers}

// Settle waits until every consumer of a running process has handled all there is, and nothing new has come of it.
func (s *Shop) Settle(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for ticker := time.NewTicker(5 * time.Millisecond); ; {
		before, _ := s.Size(t)
		idle, err := s.idle(ctx)
		if after, _ := s.Size(t); err == nil && idle && before == after {
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

// Await waits until an order has a status.
func (s *Shop) Await(t testing.TB, id string, want orders.Status) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ticker := time.NewTicker(5 * time.Millisecond); ; {
		if s.Order(t, id).Status == want {
			ticker.Stop()
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("order %s is %s, waited for %s", id, s.Order(t, id).Status, want)
		}
	}
}

// idle reports whether no consumer of a running process has anything to do.
func (s *Shop) idle(ctx context.Context) (bool, error) {
	awaited := s.running.names()
	for _, name := range streams {
		stream, err := s.Log.Stream(name)
		if err != nil {
			return false, err
		}
		consumers := stream.ListConsumers(ctx)
		for info := range consumers.Info() {
			if awaited[info.Name] > 0 {
				if done, err := logtest.CaughtUp(ctx, s.Log.JetStream(), info); err != nil || !done {
					return false, err
				}
			}
			delete(awaited, info.Name)
		}
		if err := consumers.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
			return false, err
		}
	}
	return len(awaited) == 0 && s.Bank.idle(), nil
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

// Told is how often orders has said something of a type about an order.
func (s *Shop) Told(t testing.TB, id string, fact events.Payload) (n int) {
	t.Helper()
	for _, e := range s.History(t, events.StreamOrders, events.PrefixOrder+id) {
		if e.Type == fact.EventType() {
			n++
		}
	}
	return n
}

// History is what stands on a subject of a stream.
func (s *Shop) History(t testing.TB, stream, subject string) (history []events.Event) {
	t.Helper()
	err := s.reader(t).Each(t.Context(), replay.Range{Stream: stream, Subjects: []string{subject}}, func(m replay.Message) error {
		e, err := m.Event()
		history = append(history, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return history
}

func (s *Shop) reader(t testing.TB) *replay.Reader {
	t.Helper()
	reader, err := replay.Open(t.Context(), logtest.Connect(t, s.Server))
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

// Verify applies the invariants to the log and fails the test with what they find.
func (s *Shop) Verify(t testing.TB, acknowledged ...string) {
	t.Helper()
	report, err := invariants.Check(t.Context(), invariants.Options{Log: s.reader(t), Acknowledged: acknowledged, Now: s.config.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("%s: %s: %s", f.Invariant, f.Subject, f.Detail)
	}
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
