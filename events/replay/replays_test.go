package replay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

var (
	mira   = events.Author{Actor: "staff:mira", Reason: "the rule was fixed"}
	jo     = events.Author{Actor: "staff:jo", Reason: "looks right"}
	placed = eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}
	marks  = eventlog.Entity[int]{Prefix: events.PrefixReservation, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}
)

// again is a shop with a decide lane, which marks each placed order once unless it is broken, and an act lane, whose acts are done
// once they were made.
type again struct {
	*shop
	broken atomic.Bool
	made   atomic.Int64 // acts
	acted  atomic.Bool  // the acts of all orders are done
}

func newAgain(t *testing.T, orders int) *again {
	t.Helper()
	s := &again{shop: newShop(t)}
	l := s.log.ForDomain("orders")
	for i := range orders {
		id := fmt.Sprintf("o%d", i)
		if err := l.Do(t.Context(), func(tx *eventlog.Tx) error { return placed.Append(tx, id, events.OrderPlaced{OrderID: id}) }); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *again) domain() worker.Domain {
	return worker.Domain{Name: "inventory", Log: s.log.ForDomain("inventory"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error {
			n, err := marks.Load(tx, p.OrderID)
			switch {
			case err != nil || n > 0:
				return err
			case s.broken.Load():
				return errors.New("no rule for it")
			}
			return marks.Append(tx, p.OrderID, events.ReservationReleased{OrderID: p.OrderID})
		})},
		Actors: []worker.Actor{{Name: "inventory.calls", Routes: []worker.ActRoute{worker.DoOnce(
			func(context.Context, events.Event, events.OrderPlaced) error { s.made.Add(1); return nil },
			func(context.Context, events.OrderPlaced) (worker.Done, error) {
				if s.acted.Load() {
					return worker.Done{What: "called"}, nil
				}
				return worker.Done{}, nil
			})}}}}
}

func (s *again) replays(approvalOver int) *replay.Replays {
	return replay.NewReplays(s.Reader, worker.NewDispatcher(s.domain()), approvalOver)
}

// request plans and requests a replay.
func (s *again) request(t *testing.T, replays *replay.Replays, o replay.ReplayOptions) string {
	t.Helper()
	return s.requestBy(t, replays, o, mira).ID
}

func (s *again) requestBy(t *testing.T, replays *replay.Replays, o replay.ReplayOptions, author events.Author) replay.Replay {
	t.Helper()
	plan, err := replays.Plan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	id, notRequested := replays.Request(t.Context(), plan, author)
	r, err := replays.Get(t.Context(), id)
	if err := errors.Join(notRequested, err); err != nil {
		t.Fatal(err)
	}
	return r
}

// run requests and drives a replay to its end.
func (s *again) run(t *testing.T, o replay.ReplayOptions) replay.Replay {
	t.Helper()
	replays := s.replays(1000)
	done, err := replays.Drive(t.Context(), s.request(t, replays, o), mira, nil)
	if err != nil || done.State != worker.ReplayFinished {
		t.Fatalf("got replay %s (%v), want it finished", done.State, err)
	}
	return done
}

// The lanes of 250 orders were broken: a replay after the repair appends what is missing and settles the dead letters. A second
// replay finds nothing to do, and makes no act that is done.
func TestReplayAppendsWhatIsMissingOnce(t *testing.T) {
	t.Parallel()
	s := newAgain(t, 250)
	s.broken.Store(true)
	s.work(t.Context(), worker.Config{Domains: []worker.Domain{s.domain()}})
	await(t, func() bool { return len(s.letters(t)) == 250 && s.made.Load() == 250 })
	s.broken.Store(false)
	s.acted.Store(true)
	first := s.run(t, replay.ReplayOptions{Rate: 10_000})
	want := events.ReplayCounts{Handled: 500, Facts: []events.TypeCount{{Type: "inventory.reservation_released", Count: 250}}, Done: 250}
	if diff := cmp.Diff(want, first.Counts); diff != "" {
		t.Errorf("first replay (-want +got):\n%s", diff)
	}
	for _, d := range s.letters(t) {
		if d.State != replay.StateRedriven {
			t.Fatalf("dead letter %d: got %s, want redriven", d.Number, d.State)
		}
	}
	second := s.run(t, replay.ReplayOptions{Rate: 10_000})
	if diff := cmp.Diff(events.ReplayCounts{Handled: 500, Nothing: 250, Done: 250}, second.Counts); diff != "" {
		t.Errorf("second replay (-want +got):\n%s", diff)
	}
	if n := s.made.Load(); n != 250 {
		t.Errorf("got %d acts, want 250", n)
	}
}

// An event that fails again opens its dead letter; acts that are not done are opened.
func TestReplayOpensDeadLettersAndActs(t *testing.T) {
	t.Parallel()
	s := newAgain(t, 3)
	s.work(t.Context(), worker.Config{Domains: []worker.Domain{s.domain()}})
	await(t, func() bool { return s.revision(events.PrefixReservation+"o2") == 1 && s.made.Load() == 3 })
	counts := s.run(t, replay.ReplayOptions{Lanes: []string{"inventory.calls"}}).Counts
	if diff := cmp.Diff(events.ReplayCounts{Handled: 3, Opened: 3}, counts); diff != "" {
		t.Errorf("acts (-want +got):\n%s", diff)
	}
	await(t, func() bool { return s.made.Load() == 6 })
	if letters := s.letters(t); len(letters) != 0 {
		t.Errorf("got dead letters %+v, want none: the outcome of a replay is no dead letter", letters)
	}
}

// A large replay waits for a second person, whom the requester cannot be. A stopped one goes on where it was.
func TestLargeReplayNeedsASecondPerson(t *testing.T) {
	t.Parallel()
	s := newAgain(t, 30)
	s.work(t.Context(), worker.Config{Domains: []worker.Domain{s.domain()}})
	replays := s.replays(10)
	id := s.request(t, replays, replay.ReplayOptions{})
	if _, err := replays.Drive(t.Context(), id, mira, nil); !errors.Is(err, replay.ErrNeedsApproval) {
		t.Errorf("drive: got %v, want ErrNeedsApproval", err)
	}
	if err := replays.Approve(t.Context(), id, mira); !errors.Is(err, worker.ErrOwnApproval) {
		t.Errorf("own approval: got %v, want ErrOwnApproval", err)
	}
	waits := func(p replay.Problem) bool {
		return p.Code == replay.ProblemReplay && p.Command == "ops replays approve "+id && strings.Contains(p.Text, "a replay of 30 events waits")
	}
	if o, err := s.Overview(t.Context(), time.Now()); err != nil || !slices.ContainsFunc(o.Problems, waits) {
		t.Errorf("overview: got %+v (%v), want the replay that waits", o.Problems, err)
	}
	if err := errors.Join(replays.Approve(t.Context(), id, jo), replays.Stop(t.Context(), id, jo)); err != nil {
		t.Fatal(err)
	}
	if _, err := replays.Drive(t.Context(), id, mira, nil); !errors.Is(err, replay.ErrStopped) {
		t.Errorf("drive: got %v, want ErrStopped", err)
	}
	if err := replays.Resume(t.Context(), id, mira); err != nil {
		t.Fatal(err)
	}
	done, err := replays.Drive(t.Context(), id, mira, nil)
	if err != nil || done.State != worker.ReplayFinished || done.Counts.Handled != 60 || done.ApprovedBy != jo.Actor {
		t.Errorf("got %+v (%v), want 60 events handled", done, err)
	}
	if err := replays.Stop(t.Context(), id, jo); !errors.Is(err, worker.ErrReplayState) {
		t.Errorf("stop of a finished replay: got %v, want ErrReplayState", err)
	}
}

// Whoever splits a large replay needs a second person for what exceeds the limit. What somebody else replays does not count.
func TestALargeReplayInPartsNeedsASecondPerson(t *testing.T) {
	t.Parallel()
	s := newAgain(t, 30)
	s.work(t.Context(), worker.Config{Domains: []worker.Domain{s.domain()}})
	replays := s.replays(10)
	for i, step := range []struct {
		events int
		author events.Author
		want   worker.ReplayState
	}{{6, mira, worker.ReplayRunning}, {6, mira, worker.ReplayWaiting}, {6, jo, worker.ReplayRunning}, {4, mira, worker.ReplayRunning}, {1, mira, worker.ReplayWaiting}} {
		if got := s.requestBy(t, replays, replay.ReplayOptions{Max: step.events}, step.author).State; got != step.want {
			t.Errorf("step %d, %d events by %s: got %s, want %s", i, step.events, step.author.Actor, got, step.want)
		}
	}
}

// An API key acts for the member of staff who made it, directly or with another key: it is no second person beside them, and what both
// replay counts together. A key that the shop made for itself is another person.
func TestAKeyIsNoSecondPersonBesideItsMaker(t *testing.T) {
	t.Parallel()
	s := newAgain(t, 6)
	makeKey := func(name, maker string) events.Author {
		t.Helper()
		err := s.log.ForDomain("ops").Do(t.Context(), func(tx *eventlog.Tx) error {
			tx.WithAuthor(events.Author{Actor: maker, Reason: "for scripts"})
			return eventlog.Journal{Subject: events.PrefixKey + name}.Append(tx, events.KeyMade{Name: name})
		})
		if err != nil {
			t.Fatal(err)
		}
		return events.Author{Actor: events.ActorKey + name, Reason: "scripted"}
	}
	laptop := makeKey("laptop", mira.Actor)
	robot, local := makeKey("robot", laptop.Actor), makeKey("local", events.ActorSystem)
	replays := s.replays(5)
	for _, author := range []events.Author{mira, laptop, robot} {
		id := s.requestBy(t, replays, replay.ReplayOptions{}, author).ID
		for _, same := range []events.Author{mira, laptop, robot} {
			if err := replays.Approve(t.Context(), id, same); !errors.Is(err, worker.ErrOwnApproval) {
				t.Errorf("request by %s, approval by %s: got %v, want ErrOwnApproval", author.Actor, same.Actor, err)
			}
		}
		if err := replays.Approve(t.Context(), id, local); err != nil {
			t.Errorf("request by %s, approval by %s: %v", author.Actor, local.Actor, err)
		}
	}
	var states []worker.ReplayState
	for _, author := range []events.Author{mira, laptop, local} {
		states = append(states, s.requestBy(t, replays, replay.ReplayOptions{Max: 4}, author).State)
	}
	if want := []worker.ReplayState{worker.ReplayRunning, worker.ReplayWaiting, worker.ReplayRunning}; !slices.Equal(states, want) {
		t.Errorf("parts by mira, her key and another key: got %v, want %v", states, want)
	}
}

// A drive that is interrupted is continued by another one; two at once are harmless. Every event is requested once.
func TestInterruptedDriveIsContinued(t *testing.T) {
	t.Parallel()
	s := newAgain(t, 350)
	s.work(t.Context(), worker.Config{Domains: []worker.Domain{s.domain()}})
	replays := s.replays(1000)
	id := s.request(t, replays, replay.ReplayOptions{Lanes: []string{"inventory"}, Rate: 1000})
	ctx, interrupt := context.WithCancel(t.Context())
	_, err := replays.Drive(ctx, id, mira, func(r replay.Replay) {
		if r.Position > 0 {
			interrupt()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	other := make(chan error, 1)
	go func() { _, err := s.replays(1000).Drive(t.Context(), id, jo, nil); other <- err }()
	done, err := replays.Drive(t.Context(), id, mira, nil)
	if err := errors.Join(err, <-other); err != nil || done.Counts.Handled != 350 || done.Total() != 350 {
		t.Errorf("got %d of %d (%v), want 350", done.Counts.Handled, done.Total(), err)
	}
}

// After three replays an event is left out and named, unless it is forced. Selections without events and unknown names are
// refused.
func TestReplayLeavesOutWhatWasReplayedOften(t *testing.T) {
	t.Parallel()
	s := newAgain(t, 2)
	s.work(t.Context(), worker.Config{Domains: []worker.Domain{s.domain()}})
	o := replay.ReplayOptions{Lanes: []string{"inventory"}, From: 1, To: 1}
	for range 3 {
		s.run(t, o)
	}
	replays := s.replays(10)
	plan, err := replays.Plan(t.Context(), replay.ReplayOptions{Lanes: o.Lanes})
	want := []replay.Quarantined{{Lane: "inventory", Sequence: 1, Type: "orders.placed", Replays: 3}}
	if diff := cmp.Diff(want, plan.Quarantined); err != nil || diff != "" || plan.Events != 1 {
		t.Errorf("got %d events (%v); left out (-want +got):\n%s", plan.Events, err, diff)
	}
	if done := s.run(t, replay.ReplayOptions{Lanes: o.Lanes}); done.Counts.Handled != 1 {
		t.Errorf("got %d events, want the one outside quarantine", done.Counts.Handled)
	}
	o.Force = true
	if plan, err = replays.Plan(t.Context(), o); err != nil || plan.Events != 1 || plan.LeftOut != 0 {
		t.Errorf("with force: got %+v (%v), want the event", plan, err)
	}
	for want, o := range map[error]replay.ReplayOptions{replay.ErrUnknownLane: {Lanes: []string{"nowhere"}}, replay.ErrBadSelection: {Types: []string{"orders.eaten"}},
		replay.ErrNothingSelected: {From: 1000}, replay.ErrNotFound: {Order: "o99"}} {
		if _, err := replays.Plan(t.Context(), o); !errors.Is(err, want) {
			t.Errorf("plan of %+v: got %v, want %v", o, err, want)
		}
	}
}
