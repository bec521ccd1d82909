package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/log"
)

// The life of one redelivery, and what a crash leaves behind at each line:
//
//	operators append ops.redelivery_requested             before: nothing has happened
//	the lane comes to it in the log                       the successor's checkpoint stands before it
//	it looks at the dead letter: open, and not tried      nothing has happened yet
//	  by this request
//	it handles the event                                  what was committed or done stays; the dead letter is open
//	it appends the outcome to the dead letter             the successor finds it, and leaves the event alone
//	it moves on behind the request                        the successor does not meet the request again
//
// Between the last three lines the event is handled again. Decisions are idempotent by state, and acts look before they repeat.
//
// Lanes that decide and lanes that act have dead letters. Batches and watches have none: they repeat, or pass over. A timer
// leaves a deadline that it cannot act on to the sweep behind it.

// redelivery is an event that a lane is to handle again.
type redelivery struct {
	request  uint64 // sequence of the request
	sequence uint64 // of the event
}

var redeliveryRequested = events.RedeliveryRequested{}.EventType()

// Redeliveries are the entities by which operators ask for redeliveries: one for each time they do. The state is how many
// requests it has.
var Redeliveries = log.Entity[int]{Prefix: events.PrefixReplay, Apply: func(requests int, e events.Event) (int, error) {
	p, ok := e.Payload.(events.RedeliveryRequested)
	switch {
	case !ok:
		return 0, fmt.Errorf("a redelivery cannot take %s", e.Type)
	case len(p.Sequences) == 0 || len(p.Sequences) > events.MaxRedelivery:
		return 0, fmt.Errorf("a redelivery names %d events, want 1 to %d", len(p.Sequences), events.MaxRedelivery)
	case strings.TrimSpace(p.Reason) == "":
		return 0, errors.New("a redelivery has no reason")
	}
	return requests + 1, nil
}}

// Redeliver asks for events to be handled again in their lanes, all under one id. It returns for each lane and sequence where
// in the log its request stands. l must be the handle of the domain ops.
func Redeliver(ctx context.Context, l *log.Log, id, reason string, sequences map[string][]uint64) (map[string]map[uint64]uint64, error) {
	var requests []events.RedeliveryRequested
	for _, lane := range slices.Sorted(maps.Keys(sequences)) {
		for some := range slices.Chunk(sequences[lane], events.MaxRedelivery) {
			requests = append(requests, events.RedeliveryRequested{Lane: lane, Sequences: some, Reason: reason})
		}
	}
	var committed *log.Tx
	err := l.Do(ctx, func(tx *log.Tx) error {
		committed = tx
		tx.WithActor(events.ActorOps)
		for _, request := range requests {
			if err := Redeliveries.Append(tx, id, request); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	at := map[string]map[uint64]uint64{}
	for i, request := range requests {
		if at[request.Lane] == nil {
			at[request.Lane] = map[uint64]uint64{}
		}
		for _, sequence := range request.Sequences {
			at[request.Lane][sequence] = committed.Sequence(i)
		}
	}
	return at, nil
}

// redeliveries returns what a message asks this lane to handle again; none when it is no request for it. Only what stands
// where operators append counts.
func (l *lane) redeliveries(item *Item) (again []redelivery) {
	if item.Type() != redeliveryRequested || !strings.HasPrefix(item.Subject, events.PrefixReplay) {
		return nil
	}
	e, err := item.Event()
	request, ok := e.Payload.(events.RedeliveryRequested)
	if err != nil || !ok || request.Lane != l.name {
		return nil
	}
	for _, sequence := range request.Sequences {
		again = append(again, redelivery{request: item.Sequence, sequence: sequence})
	}
	return again
}

// deadLetter is an open dead letter, as it stands.
type deadLetter struct {
	events.DeadLettered
	envelope events.Event
	last     uint64 // sequence of its newest message in DEADLETTERS
}

// unsettled returns the dead letter that a redelivery is about; nil when there is nothing to do: it is not open, or this or a later
// request has been tried already.
func (l *lane) unsettled(ctx context.Context, again redelivery) (*deadLetter, error) {
	subject := DeadLetterSubject(l.name, again.sequence)
	var newest *jetstream.RawStreamMsg
	err := l.log.Retry(ctx, func(ctx context.Context) error {
		stream, err := l.log.JetStream().Stream(ctx, events.StreamDeadLetters)
		if err != nil {
			return err
		}
		stream.CachedInfo().Config.AllowDirect = false // by this the client asks the leader: a copy may lag behind it
		newest, err = stream.GetLastMsgForSubject(ctx, subject)
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read dead letter %s: %w: %w", subject, log.ErrUnavailable, err)
	}
	e, err := events.Decode(newest.Subject, newest.Header, newest.Data)
	dead, open := e.Payload.(events.DeadLettered)
	if err != nil || !open || dead.Redelivery >= again.request {
		return nil, nil //nolint:nilerr // what a lane did not write is no dead letter of it
	}
	return &deadLetter{DeadLettered: dead, envelope: e, last: newest.Sequence}, nil
}

// outcome appends what became of a redelivery to its dead letter: why it failed, nil when it did not.
func (l *lane) outcome(ctx context.Context, again redelivery, attempt int, cause error) error {
	dead, err := l.unsettled(ctx, again)
	if err != nil || dead == nil {
		return err
	}
	e := events.Event{ID: fmt.Sprintf("%s-%d-%d", l.name, again.sequence, again.request),
		CorrelationID: dead.envelope.CorrelationID, CausationID: dead.envelope.ID}
	if cause == nil {
		e.Payload = events.DeadLetterRedriven{Worker: l.name, Sequence: again.sequence, Attempt: attempt, Redelivery: again.request}
	} else {
		failed := dead.DeadLettered
		failed.Attempt, failed.Redelivery = attempt, again.request
		describe(&failed, cause)
		e.Payload = failed
	}
	return appendToDeadLetter(ctx, l, again.sequence, e, dead.last)
}

// redeliver decides about an event again, and says what became of it.
func (d *decider) redeliver(ctx context.Context, j *job) error {
	l := j.lane.lane
	dead, err := l.unsettled(ctx, *j.again)
	if err != nil || dead == nil {
		return err
	}
	item, err := d.reader.get(ctx, j.again.sequence)
	if err == nil {
		_, err = d.Dispatch(ctx, Delivery{Item: item, Lane: l.name, Attempt: dead.Attempt + 1}, false)
	}
	if err != nil && IsInfrastructure(err) {
		return err
	}
	return l.outcome(ctx, *j.again, dead.Attempt+1, err)
}

// takeAgain takes the next event that is to be delivered again; nil when there is nothing to do about it. The lane moves on
// behind the request when all of its events are taken: those that are open stand in the checkpoint then.
func (a *actLane) takeAgain(ctx context.Context) (next *act, err error) {
	again := a.again[0]
	dead, err := a.unsettled(ctx, again)
	if err != nil {
		return nil, err
	}
	begun := a.open[again.sequence]
	switch {
	case dead == nil:
	case begun != nil: // by a process that died before its checkpoint said that the act had ended, or was begun anew
		begun.Redelivery = again.request
		a.change()
	default:
		if next, err = a.openAgain(ctx, again, dead); err != nil {
			return nil, err
		}
	}
	if a.again = a.again[1:]; len(a.again) == 0 {
		a.advance(a.taken)
	}
	return next, nil
}

// openAgain begins an act anew, as after the attempts that its dead letter counts. An event that the log has lost fails again.
func (a *actLane) openAgain(ctx context.Context, again redelivery, dead *deadLetter) (*act, error) {
	item, err := a.reader.get(ctx, again.sequence)
	if errors.Is(err, log.ErrNotFound) {
		return nil, a.outcome(ctx, again, dead.Attempt+1, err)
	}
	if err != nil {
		return nil, err
	}
	o := &act{Sequence: again.sequence, Attempt: dead.Attempt, Redelivery: again.request, item: item}
	a.open[o.Sequence] = o
	a.setOpen(len(a.open))
	a.change()
	return o, nil
}

// conclude says what became of an act that was a redelivery, and does nothing about another one.
func (a *actLane) conclude(ctx context.Context, o *act, cause error) error {
	if o.Redelivery == 0 {
		return nil
	}
	return a.outcome(ctx, redelivery{o.Redelivery, o.Sequence}, o.Attempt, cause)
}

// bury makes the event of an act a dead letter, or opens its dead letter again.
func (a *actLane) bury(ctx context.Context, o *act, cause error) error {
	if o.Redelivery > 0 {
		return a.conclude(ctx, o, cause)
	}
	return putDeadLetter(ctx, a.lane, o.item, o.Attempt, cause)
}
