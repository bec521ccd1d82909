package replay_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
)

// noted is the state of an order in these tests: what happened to it.
type noted struct {
	Status string       `json:"status"`
	Total  events.Money `json:"total"`
}

var notes = eventlog.Entity[noted]{Prefix: events.PrefixOrder, Apply: func(n noted, e events.Event) (noted, error) {
	if p, ok := e.Payload.(events.OrderPlaced); ok {
		n.Total = p.Total
	}
	n.Status = e.Type
	return n, nil
}}

// shelf is the stock of a SKU: its newest event has the whole state.
var shelf = eventlog.Entity[events.StockLevel]{Prefix: events.PrefixStock, LastOnly: true, Apply: func(_ events.StockLevel, e events.Event) (events.StockLevel, error) {
	return e.Payload.(events.StockAdjusted).After, nil
}}

var (
	orderKind = replay.KindOf("order", "orders", notes, func(n noted) any { return n })
	stockKind = replay.KindOf("stock", "stock", shelf, func(l events.StockLevel) any { return l })
)

// twoOrders appends the events of two orders and of stock; sequences 1 to 6.
func twoOrders(s *shop) {
	adjusted := func(after int64) events.StockAdjusted {
		return events.StockAdjusted{StockMovement: events.StockMovement{SKU: "MUG", After: events.StockLevel{OnHand: after, Available: after}}}
	}
	s.append("a1", "orders.a", "a", "", events.OrderPlaced{OrderID: "a", Total: events.Money{Amount: 1250, Currency: "GBP"}})
	s.append("m1", events.PrefixStock+"MUG", "", "", adjusted(5))
	s.append("b1", "orders.b", "b", "", events.OrderPlaced{OrderID: "b", Total: events.Money{Amount: 900, Currency: "GBP"}})
	s.append("a2", "orders.a", "a", "a1", events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: "a"}})
	s.append("m2", events.PrefixStock+"MUG", "", "", adjusted(3))
	s.append("b2", "orders.b", "b", "b1", events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: "b"}})
}

func (s *shop) at(m replay.Moment) replay.Moment {
	s.t.Helper()
	at, err := s.At(s.t.Context(), m)
	if err != nil {
		s.t.Fatal(err)
	}
	return at
}

func TestStateAtASequenceIgnoresLaterEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	twoOrders(s)
	for _, test := range []struct {
		kind     replay.Kind
		id       string
		at, last uint64
		want     any
	}{
		{orderKind, "b", 2, 0, nil},
		{orderKind, "b", 3, 3, noted{"orders.placed", events.Money{Amount: 900, Currency: "GBP"}}},
		{orderKind, "a", 3, 1, noted{"orders.placed", events.Money{Amount: 1250, Currency: "GBP"}}},
		{orderKind, "a", 6, 4, noted{"orders.expired", events.Money{Amount: 1250, Currency: "GBP"}}},
		{stockKind, "MUG", 1, 0, nil},
		{stockKind, "MUG", 4, 2, events.StockLevel{OnHand: 5, Available: 5}},
		{stockKind, "MUG", 6, 5, events.StockLevel{OnHand: 3, Available: 3}},
	} {
		got, err := s.StateAt(t.Context(), test.kind, test.id, s.at(replay.Moment{Sequence: test.at}))
		if err != nil || got.Sequence != test.last || got.Exists() != (test.want != nil) || got.Error != "" {
			t.Errorf("%s %s at %d: got %+v, %v", test.kind.Name, test.id, test.at, got, err)
		}
		if diff := cmp.Diff(test.want, got.Value); diff != "" {
			t.Errorf("%s %s at %d: -want +got:\n%s", test.kind.Name, test.id, test.at, diff)
		}
	}
}

// appendBroken appends an event whose body is not JSON.
func (s *shop) appendBroken(subject string) {
	s.t.Helper()
	msg, err := events.Encode(events.Event{ID: "broken", Source: "test", Time: time.Now(), Subject: subject, Revision: s.revision(subject) + 1, Payload: events.OrderExpired{}})
	if err != nil {
		s.t.Fatal(err)
	}
	msg.Data = []byte("{")
	if _, err := s.js.PublishMsg(s.t.Context(), msg); err != nil {
		s.t.Fatal(err)
	}
}

// A void that comes after the moment does not change the state at the moment.
func TestStateAtAMomentBeforeAVoidIsUnreadable(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.append("a1", "orders.a", "a", "", events.OrderPlaced{OrderID: "a"})
	s.appendBroken("orders.a")
	before := s.at(replay.Moment{Sequence: 2})
	m, err := s.Get(t.Context(), 2)
	if err == nil {
		_, err = eventlog.Void(t.Context(), s.Log(), m, events.Author{Actor: "staff:ada", Reason: "broken"})
	}
	if err != nil {
		t.Fatal(err)
	}
	for at, readable := range map[replay.Moment]bool{before: false, s.at(replay.Moment{Sequence: 3}): true} {
		state, err := s.StateAt(t.Context(), orderKind, "a", at)
		if err != nil || (state.Error == "") != readable || !cmp.Equal(state.Value, any(noted{Status: "orders.placed"})) {
			t.Errorf("at %d: got %+v, %v; want readable: %t, and the state before the broken event", at.Sequence, state, err, readable)
		}
	}
}

func TestDiffNamesFieldsAndEventsBetweenTwoMoments(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	twoOrders(s)
	for _, moments := range [][2]uint64{{3, 6}, {6, 3}} {
		d, err := s.Diff(t.Context(), orderKind, "a", s.at(replay.Moment{Sequence: moments[0]}), s.at(replay.Moment{Sequence: moments[1]}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]replay.Change{{Field: "status", Before: "orders.placed", After: "orders.expired"}}, d.Changes); diff != "" {
			t.Errorf("changes -want +got:\n%s", diff)
		}
		if len(d.Events) != 1 || d.Events[0].Sequence != 4 || d.Before.At.Sequence != 3 {
			t.Errorf("from %d: got events %+v", d.Before.At.Sequence, d.Events)
		}
	}
	d, err := s.Diff(t.Context(), orderKind, "b", s.at(replay.Moment{Sequence: 1}), s.at(replay.Moment{Sequence: 3}))
	want := []replay.Change{{Field: "status", After: "orders.placed"}, {Field: "total", After: "9.00 GBP"}}
	if diff := cmp.Diff(want, d.Changes); err != nil || diff != "" {
		t.Errorf("from before the order: %v; -want +got:\n%s", err, diff)
	}
}

func TestMomentsAreSequencesOrTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	for text, want := range map[string]replay.Moment{
		"17": {Sequence: 17}, "now": {Time: now}, "-2h": {Time: now.Add(-2 * time.Hour)}, "now-1d12h": {Time: now.Add(-36 * time.Hour)}, "2h ago": {Time: now.Add(-2 * time.Hour)},
		"2026-11-29": {Time: time.Date(2026, 11, 29, 0, 0, 0, 0, now.Location())}, "2026-11-29T10:00:00Z": {Time: time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)},
	} {
		got, err := replay.ParseMoment(text, now)
		if err != nil || got.Sequence != want.Sequence || !got.Time.Equal(want.Time) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "tomorrow", "--2h", "-", "12:", "99999999999999999999"} {
		if m, err := replay.ParseMoment(text, now); !errors.Is(err, replay.ErrBadMoment) {
			t.Errorf("%q: got %v, %v, want ErrBadMoment", text, m, err)
		}
	}
}

// The broker's times are those of a restore where events were stored again, so the events' own times decide.
func TestMomentsAreFoundByTheTimesOfRestoredEvents(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	now := time.Now()
	for _, hours := range []int{5, 4, 3, 0} {
		s.age = time.Duration(hours) * time.Hour
		s.append(fmt.Sprint(hours), "orders.a", "a", "", events.OrderExpired{})
	}
	for hours, want := range map[int]uint64{4: 2, 3: 3, 1: 3} {
		at, err := s.At(t.Context(), replay.Moment{Time: now.Add(-time.Duration(hours) * time.Hour).Add(30 * time.Minute)})
		if err != nil || at.Sequence != want {
			t.Errorf("%d h ago and half an hour later: got %v, %v, want sequence %d", hours, at, err, want)
		}
	}
	for _, m := range []replay.Moment{{Time: now.Add(-6 * time.Hour)}, {Sequence: 9}} {
		if at, err := s.At(t.Context(), m); !errors.Is(err, replay.ErrNotFound) {
			t.Errorf("%v: got %v, %v, want ErrNotFound", m, at, err)
		}
	}
}

// The same sequence gives the same bytes, although events were appended in between, and however many entities are folded at a time.
func TestExportOfASequenceIsTheSameLater(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	twoOrders(s)
	live := s.export(t, 6, 0)
	at4 := s.export(t, 4, 0)
	twoOrders(s)
	s.append("c1", "orders.c", "c", "", events.OrderPlaced{OrderID: "c"})
	for _, chunk := range []int{0, 1, 2} {
		if diff := cmp.Diff(live, s.export(t, 6, chunk)); diff != "" {
			t.Errorf("at 6, %d entities at a time, -before +later:\n%s", chunk, diff)
		}
		if diff := cmp.Diff(at4, s.export(t, 4, chunk)); diff != "" {
			t.Errorf("at 4, %d entities at a time, -before +later:\n%s", chunk, diff)
		}
	}
	want := `{"id":"a","subject":"orders.a","sequence":4,"revision":2,"state":{"status":"orders.expired","total":{"amount":1250,"currency":"GBP"}}}
{"id":"b","subject":"orders.b","sequence":3,"revision":1,"state":{"status":"orders.placed","total":{"amount":900,"currency":"GBP"}}}
`
	if diff := cmp.Diff(want, at4["orders.jsonl"]); diff != "" {
		t.Errorf("orders at 4, -want +got:\n%s", diff)
	}
}

// export writes the state at a sequence and returns its files.
func (s *shop) export(t *testing.T, sequence uint64, chunk int) map[string]string {
	t.Helper()
	x := replay.Export{At: s.at(replay.Moment{Sequence: sequence}), Dir: filepath.Join(t.TempDir(), "state"), Kinds: []replay.Kind{orderKind, stockKind}, Log: s.Reader}
	manifest, err := x.WithChunk(chunk).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Run(t.Context()); !errors.Is(err, replay.ErrExists) {
		t.Errorf("a second time: got %v, want ErrExists", err)
	}
	files := map[string]string{}
	entries, err := os.ReadDir(filepath.Dir(x.Dir))
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v beside the directory, %v; want nothing", entries, err)
	}
	for _, name := range append([]string{"manifest.json"}, slices.Collect(maps.Keys(manifest.Files))...) {
		data, err := os.ReadFile(filepath.Join(x.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(data)
	}
	if !strings.Contains(files["manifest.json"], `"topology"`) {
		t.Errorf("got manifest %s", files["manifest.json"])
	}
	return files
}

// What one transaction appends is one state: a moment in its middle is moved to its end, also where a repair has written it again
// without the headers of its batch.
func TestEndOfCommitIsTheEndOfABatch(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	twoOrders(s)
	err := s.log.Do(t.Context(), func(tx *eventlog.Tx) error {
		return errors.Join(notes.Append(tx, "c", events.OrderPlaced{OrderID: "c"}), notes.Append(tx, "d", events.OrderPlaced{OrderID: "d"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.append("e1", "orders.e", "e", "", events.OrderPlaced{OrderID: "e"})
	for from, want := range map[uint64]uint64{1: 1, 6: 6, 7: 8, 8: 8, 9: 9} {
		if got, err := s.EndOfCommit(t.Context(), s.at(replay.Moment{Sequence: from})); err != nil || got.Sequence != want {
			t.Errorf("from %d: got %v, %v, want %d", from, got, err, want)
		}
	}
}
