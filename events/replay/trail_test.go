package replay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

var counting = events.Author{Actor: "staff:mira", Reason: "a supplier counts", Via: "console 192.0.2.7"}

// appendBy appends an event that an author caused.
func (s *shop) appendBy(author events.Author, subject string, fact events.Payload) {
	s.t.Helper()
	msg, err := events.Encode(events.Event{ID: fmt.Sprintf("%s-%d", subject, s.revision(subject)+1), Source: "test", Time: time.Now(), Subject: subject,
		Revision: s.revision(subject) + 1, Actor: author.Actor, Reason: author.Reason, Via: author.Via, CorrelationID: strings.TrimPrefix(subject, "orders."), Payload: fact})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.js.PublishMsg(s.t.Context(), msg); err != nil {
		s.t.Fatal(err)
	}
}

// page returns a page of a trail, each action as "sequence actor type".
func page(t *testing.T, trail *replay.Trail, filter replay.ActionFilter, before replay.Place, limit int) (rows []string, next replay.Place) {
	t.Helper()
	actions, next, err := trail.Page(t.Context(), filter, before, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range actions {
		rows = append(rows, fmt.Sprintf("%d %s %s", a.Sequence, a.Actor, a.Type))
	}
	return rows, next
}

// The audit shows what staff and keys did, with the reason, and nothing that shoppers or the shop did.
func TestTrailShowsWhoDidWhatAndWhy(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.append("1", "orders.o1", "o1", "", events.OrderExpired{})
	s.appendBy(counting, "orders.o1", events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: "o1"}, Reason: "requested"})
	s.appendBy(events.Author{Actor: "key:backup"}, "ops.lanes.orders", events.LaneResumed{Lane: "orders"})
	actions, next, err := s.Trail().Page(t.Context(), replay.ActionFilter{}, replay.Place{}, 10)
	if err != nil || next != (replay.Place{}) || len(actions) != 2 {
		t.Fatalf("page: got %d actions, next %v, %v; want 2 and no more", len(actions), next, err)
	}
	want := replay.Action{Stored: stored(t, s, 2).UTC(), Stream: events.StreamShop, Sequence: 2, Actor: "staff:mira", Type: "orders.cancelled", Subject: "orders.o1", Order: "o1",
		Summary: "requested, by staff:mira", Reason: counting.Reason, Via: counting.Via, EventID: "orders.o1-2"}
	if diff := cmp.Diff(want, actions[1]); diff != "" {
		t.Errorf("cancellation (-want +got):\n%s", diff)
	}
	if actions[0].Summary != "orders resumed" || actions[0].Actor != "key:backup" {
		t.Errorf("newest: got %+v, want the resumption by key:backup", actions[0])
	}
}

// What an operator does to dead letters is in another stream, at its place in time.
func TestTrailShowsWhatHappenedToDeadLetters(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.append("1", "orders.o1", "o1", "", events.OrderExpired{})
	s.append("dead", worker.DeadLetterSubject("orders", 1), "o1", "1", events.DeadLettered{Worker: "orders", Sequence: 1, Subject: "orders.o1", Fingerprint: "f"})
	s.appendBy(counting, "ops.lanes.orders", events.LanePaused{Lane: "orders"})
	if n, err := s.Discard(t.Context(), s.letters(t), counting); n != 1 || err != nil {
		t.Fatalf("discard: got %d, %v", n, err)
	}
	s.appendBy(counting, "ops.lanes.orders", events.LaneResumed{Lane: "orders"})
	trail := s.Trail()
	all, next := page(t, trail, replay.ActionFilter{}, replay.Place{}, 2)
	rest, end := page(t, trail, replay.ActionFilter{}, next, 2)
	want := []string{"3 staff:mira ops.lane_resumed", "2 staff:mira worker.discarded", "2 staff:mira ops.lane_paused"}
	if diff := cmp.Diff(want, slices.Concat(all, rest)); diff != "" || end != (replay.Place{}) {
		t.Errorf("both pages (-want +got), next %v:\n%s", end, diff)
	}
}

func TestTrailFilters(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.appendBy(counting, "orders.o1", events.OrderExpired{})
	s.appendBy(events.Author{Actor: "staff:olu"}, "inventory.items.MUG%2E1", events.ItemChanged{SKU: "MUG.1"})
	s.appendBy(events.Author{Actor: "guest"}, "orders.o2", events.OrderExpired{})
	s.appendBy(events.Author{Actor: "key:olu"}, "orders.o3", events.OrderExpired{})
	middle := stored(t, s, 2)
	const cancelled, item, keyed = "1 staff:mira orders.expired", "2 staff:olu inventory.item_changed", "4 key:olu orders.expired"
	for name, c := range map[string]struct {
		filter replay.ActionFilter
		want   []string
	}{
		"Everything": {replay.ActionFilter{}, []string{keyed, item, cancelled}},
		"Actor":      {replay.ActionFilter{Actor: "staff:olu"}, []string{item}},
		"Name":       {replay.ActionFilter{Actor: "Olu"}, []string{keyed, item}},
		"Type":       {replay.ActionFilter{Type: "orders.*"}, []string{keyed, cancelled}},
		"Order":      {replay.ActionFilter{Entity: "o1"}, []string{cancelled}},
		"SKU":        {replay.ActionFilter{Entity: "MUG.1"}, []string{item}},
		"Subject":    {replay.ActionFilter{Entity: "orders.o3"}, []string{keyed}},
		"Since":      {replay.ActionFilter{Since: middle}, []string{keyed, item}},
		"Until":      {replay.ActionFilter{Until: middle}, []string{item, cancelled}},
		"Nobody":     {replay.ActionFilter{Actor: "guest"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _ := page(t, s.Trail(), c.filter, replay.Place{}, 10)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("page (-want +got):\n%s", diff)
			}
		})
	}
	for name, filter := range map[string]replay.ActionFilter{"Pattern": {Type: "["}, "Times": {Since: middle, Until: middle.Add(-1)}} {
		if _, _, err := s.Trail().Page(t.Context(), filter, replay.Place{}, 1); err == nil {
			t.Errorf("%s: got no error, want the filter refused", name)
		}
	}
}

// A trail reads each message once: pages in any order, in windows of any size, and with new events in between, show every action
// once.
func TestTrailPagesAreComplete(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	trail := s.Trail()
	trail.SetWindow(7)
	var want []string
	for i := range 60 {
		order := fmt.Sprintf("orders.o%d", i)
		if i%3 > 0 {
			s.append(order, order, "", "", events.OrderExpired{})
			continue
		}
		s.appendBy(counting, order, events.OrderExpired{})
		want = append(want, fmt.Sprintf("%d staff:mira orders.expired", i+1))
		if i%4 == 0 { // the newest action is seen at once
			if got, _ := page(t, trail, replay.ActionFilter{}, replay.Place{}, 1); !slices.Equal(got, want[len(want)-1:]) {
				t.Errorf("newest: got %v, want %s", got, want[len(want)-1])
			}
		}
	}
	slices.Reverse(want)
	var got []string
	for place, first := (replay.Place{}), true; first || place != (replay.Place{}); first = false {
		var rows []string
		rows, place = page(t, trail, replay.ActionFilter{}, place, 3)
		got = append(got, rows...)
		if again, err := replay.ParsePlace(place.String()); place != (replay.Place{}) && (err != nil || again != place) {
			t.Errorf("ParsePlace(%s) = %v, %v", place, again, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("all pages (-want +got):\n%s", diff)
	}
	if _, err := replay.ParsePlace("1.x"); err == nil {
		t.Error("ParsePlace(1.x): got no error")
	}
}

// An event that the log has lost since it was read is named, and an unreadable one gives the reason.
func TestTrailNamesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.replaceLog()
	s.appendBy(counting, "orders.o1", events.OrderExpired{})
	s.appendBy(counting, "orders.o2", events.OrderExpired{})
	trail := s.Trail()
	if err := trail.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.deleteMessages(2)
	actions, _, err := trail.Page(t.Context(), replay.ActionFilter{}, replay.Place{}, 5)
	if err != nil || len(actions) != 2 || actions[0].Summary != "the log has lost this event" {
		t.Errorf("got %+v, %v; want the lost event named", actions, err)
	}
}

// What a command does outside the log is an event of its author.
func TestRecordedActionIsInTheTrail(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if err := s.Record(t.Context(), events.ActionRecorded{Action: "backup", Arguments: []string{"/backups/today"}, Outcome: "9 events"}, counting); err != nil {
		t.Fatal(err)
	}
	actions, _, err := s.Trail().Page(t.Context(), replay.ActionFilter{Type: "ops.action_recorded"}, replay.Place{}, 5)
	if err != nil || len(actions) != 1 || actions[0].Summary != "backup /backups/today: 9 events" || actions[0].Reason != counting.Reason || actions[0].Via != counting.Via {
		t.Errorf("got %+v, %v; want the backup with its reason", actions, err)
	}
}

// BenchmarkTrail measures the first page of a log of 100,000 events of which one in a hundred is of staff, a rare actor, and a
// page afterwards.
func BenchmarkTrail(b *testing.B) {
	const size = 100_000
	s := newShop(b)
	js, err := jetstream.New(s.log.JetStream().Conn(), jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		b.Fatal(err)
	}
	for i := range size {
		actor := "guest"
		if i%100 == 0 {
			actor = fmt.Sprintf("staff:p%d", i/100%20)
		}
		if i == 10 {
			actor = "staff:rare"
		}
		msg, err := events.Encode(events.Event{ID: fmt.Sprint(i), Source: "test", Time: time.Now(), Subject: fmt.Sprintf("orders.o%d", i/10), Revision: uint64(i%10 + 1), Actor: actor,
			Payload: events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: fmt.Sprint(i)}}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishMsgAsync(msg); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 {
			<-js.PublishAsyncComplete()
		}
	}
	trail := s.Trail()
	for _, c := range []struct {
		name   string
		filter replay.ActionFilter
	}{{"FirstPage", replay.ActionFilter{}}, {"RareActorFirst", replay.ActionFilter{Actor: "rare"}}, {"RareActor", replay.ActionFilter{Actor: "rare"}}, {"Page", replay.ActionFilter{}}} {
		start := time.Now()
		actions, _, err := trail.Page(b.Context(), c.filter, replay.Place{}, 50)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Microseconds())/1000, c.name+"-ms")
		b.Logf("%s: %d actions in %s", c.name, len(actions), time.Since(start))
	}
}
