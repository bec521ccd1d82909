package coretest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
	"tillstream/events/worker"
	"tillstream/orders"
)

// workers holds the running workers.
type workers struct {
	mu  sync.Mutex
	all []*worker.Worker
}

func (w *workers) add(added *worker.Worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, added)
}

func (w *workers) remove(removed *worker.Worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = slices.DeleteFunc(w.all, func(one *worker.Worker) bool { return one == removed })
}

// lanes returns the status of each lane, from the worker that holds its lease or, without one, from any worker.
func (w *workers) lanes() map[string]worker.LaneStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	lanes := map[string]worker.LaneStatus{}
	for _, one := range w.all {
		for _, l := range one.Lanes() {
			if known, ok := lanes[l.Name]; !ok || !known.Leased {
				lanes[l.Name] = l
			}
		}
	}
	return lanes
}

// Settle waits until every lane of the running workers is at the end of the log and none has appended anything.
func (s *Shop) Settle(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for ticker := time.NewTicker(5 * time.Millisecond); ; {
		before := s.EventCount(t)
		busy := s.busy(before)
		if after := s.EventCount(t); len(busy) == 0 && before == after {
			ticker.Stop()
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("settle: timed out waiting for %s", strings.Join(busy, ", "))
		}
	}
}

// busy names the lanes that are not at the end of the log.
func (s *Shop) busy(end uint64) (busy []string) {
	for name, l := range s.running.lanes() {
		if !l.Paused && (!l.Leased || l.Position < end || l.Open > 0) {
			busy = append(busy, name)
		}
	}
	if !s.Stripe.idle() {
		busy = append(busy, "Stripe")
	}
	return busy
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
			t.Fatalf("order %s: got status %s, want %s", id, s.Order(t, id).Status, want)
		}
	}
}

// EventCount returns the number of events in the log.
func (s *Shop) EventCount(t testing.TB) uint64 {
	t.Helper()
	end, err := s.Log.End(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// CountEvents returns the number of events of a type about an order.
func (s *Shop) CountEvents(t testing.TB, id string, fact events.Payload) (n int) {
	t.Helper()
	for _, e := range s.History(t, events.PrefixOrder+id) {
		if e.Type == fact.EventType() {
			n++
		}
	}
	return n
}

// History returns the events of a subject.
func (s *Shop) History(t testing.TB, subject string) (history []events.Event) {
	t.Helper()
	err := s.reader(t).Each(t.Context(), replay.Range{Subjects: []string{subject}}, func(m replay.Message) error {
		e, err := m.Event()
		history = append(history, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return history
}

// DeadLetters returns all dead letters.
func (s *Shop) DeadLetters(t testing.TB) []replay.DeadLetter {
	t.Helper()
	letters, err := s.reader(t).DeadLetters(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

func (s *Shop) reader(t testing.TB) *replay.Reader {
	t.Helper()
	reader, err := replay.Open(t.Context(), logtest.Connect(t, s.Server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	return reader
}

// Verify checks the invariants of the log and reports the findings as test failures.
func (s *Shop) Verify(t testing.TB, acknowledged ...string) {
	t.Helper()
	report, err := invariants.Check(t.Context(), invariants.Options{Log: s.reader(t), Acknowledged: acknowledged, Now: s.config.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("got finding %s %s: %s", f.Invariant, f.Subject, f.Detail)
	}
}

// Size returns the number of events in the log and their size in bytes.
func (s *Shop) Size(t testing.TB) (n, bytes uint64) {
	t.Helper()
	stream, err := s.Log.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	info := stream.CachedInfo()
	return info.State.Msgs, info.State.Bytes
}
