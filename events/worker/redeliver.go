package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// The life of one redelivery, and what a crash before each step leaves behind:
//
//	operators append ops.redelivery_requested             nothing
//	the lane reads the request                            the checkpoint is before the request
//	it checks that the dead letter is open and was not    the same
//	  tried by this request
//	it handles the event                                  the same; the dead letter is open
//	it appends the outcome to the dead letter             the effect of the event; the dead letter is open
//	it advances past the request                          the outcome, after which the event is not handled again
//
// A decide lane holds its position before the request meanwhile, as for a batch of a replay; see [replayer].
//
// A crash before the outcome makes the next holder handle the event again. Decisions are idempotent by state, and an act looks
// for the effect of an earlier attempt before it repeats the call.
//
// Only decide and act lanes have dead letters. A batch repeats until it succeeds, a watch skips the event, and a timer leaves
// a deadline that it cannot act on to a periodic job.

// redelivery is an event that a lane is to handle again.
type redelivery struct {
	request  uint64 // sequence of the request
	sequence uint64 // of the event
}

var redeliveryRequested = events.RedeliveryRequested{}.EventType()

// Redeliver requests that lanes handle events again, all under one id. sequences lists the events of each lane. Redeliver
// returns the sequence of the request for each lane and event. l must be the handle of the domain ops.
func Redeliver(ctx context.Context, l *eventlog.Log, id string, author events.Author, sequences map[string][]uint64) (map[string]map[uint64]uint64, error) {
	var requests []events.RedeliveryRequested
	for _, lane := range slices.Sorted(maps.Keys(sequences)) {
		for chunk := range slices.Chunk(sequences[lane], events.MaxRedelivery) {
			requests = append(requests, events.RedeliveryRequested{Lane: lane, Sequences: chunk, Reason: author.Reason})
		}
	}
	var committed *eventlog.Tx
	err := l.Do(ctx, func(tx *eventlog.Tx) error {
		committed = tx
		tx.WithAuthor(author)
		for _, request := range requests {
			if err := Replays.Append(tx, id, request); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	requested := map[string]map[uint64]uint64{}
	for i, request := range requests {
		if requested[request.Lane] == nil {
			requested[request.Lane] = map[uint64]uint64{}
		}
		for _, sequence := range request.Sequences {
			requested[request.Lane][sequence] = committed.Sequence(i)
		}
	}
	return requested, nil
}

// redeliveries returns the events that a message requests this lane to handle again; none when the message is not such a
// request. A request counts only under the subjects that operators may append to.
func (l *lane) redeliveries(item *Item) (requested []redelivery) {
	if item.Type() != redeliveryRequested || !strings.HasPrefix(item.Subject, events.PrefixReplay) {
		return nil
	}
	e, err := item.Event()
	request, ok := e.Payload.(events.RedeliveryRequested)
	if err != nil || !ok || request.Lane != l.name {
		return nil
	}
	for _, sequence := range request.Sequences {
		requested = append(requested, redelivery{request: item.Sequence, sequence: sequence})
	}
	return requested
}

// isRequested reports whether a message requests that this lane handles events again.
func (l *lane) isRequested(item *Item) bool {
	return len(l.redeliveries(item)) > 0 || l.batch(item) != nil
}

// deadLetter is the state of an open dead letter.
type deadLetter struct {
	events.DeadLettered
	envelope events.Event
	last     uint64 // sequence of its newest message in DEADLETTERS
}

// openDeadLetter returns the dead letter of a redelivery; nil when there is nothing to do, because the dead letter is not open,
// was tried by this or a later request, or is about several messages: operators redrive those that can be read one by one.
func (l *lane) openDeadLetter(ctx context.Context, r redelivery) (*deadLetter, error) {
	subject := DeadLetterSubject(l.name, r.sequence)
	newest, err := l.readDeadLetter(ctx, subject, func(ctx context.Context, stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
		return stream.GetLastMsgForSubject(ctx, subject)
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e, err := events.Decode(newest.Subject, newest.Header, newest.Data)
	dead, open := e.Payload.(events.DeadLettered)
	if err != nil || !open || dead.Redelivery >= r.request || dead.Messages() > 1 {
		return nil, nil //nolint:nilerr // an unreadable message is not a dead letter: no lane wrote it
	}
	return &deadLetter{DeadLettered: dead, envelope: e, last: newest.Sequence}, nil
}

type letterReader func(context.Context, jetstream.Stream) (*jetstream.RawStreamMsg, error)

// readDeadLetter reads a message of a dead letter. It returns [jetstream.ErrMsgNotFound] when there is none.
func (l *lane) readDeadLetter(ctx context.Context, subject string, read letterReader) (msg *jetstream.RawStreamMsg, err error) {
	err = l.log.Retry(ctx, func(ctx context.Context) error {
		stream, err := l.log.JetStream().Stream(ctx, events.StreamDeadLetters)
		if err != nil {
			return err
		}
		stream.CachedInfo().Config.AllowDirect = false // makes the client ask the leader, because a replica may lag
		msg, err = read(ctx, stream)
		return err
	})
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		err = fmt.Errorf("read dead letter %s: %w: %w", subject, eventlog.ErrUnavailable, err)
	}
	return msg, err
}

// recordOutcome appends the outcome of a redelivery to its dead letter: redriven, or the cause of another failure.
func (l *lane) recordOutcome(ctx context.Context, r redelivery, attempt int, cause error) error {
	dead, err := l.openDeadLetter(ctx, r)
	if err != nil || dead == nil {
		return err
	}
	e := events.Event{ID: fmt.Sprintf("%s-%d-%d", l.name, r.sequence, r.request),
		CorrelationID: dead.envelope.CorrelationID, CausationID: dead.envelope.ID}
	if cause == nil {
		e.Payload = events.DeadLetterRedriven{Worker: l.name, Sequence: r.sequence, Attempt: attempt, Redelivery: r.request}
	} else {
		failed := dead.DeadLettered
		failed.Attempt, failed.Redelivery = attempt, r.request
		setCause(&failed, cause)
		e.Payload = failed
	}
	return appendToDeadLetter(ctx, l, r.sequence, e, dead.last)
}

// maxRedriving is how many dead letters a decide lane redrives at a time. Their decisions share commits.
const maxRedriving = 16

// redrive decides about the events of dead letters again, several at a time; those of one order one after another, as in the log. It
// runs beside the loop, so no live event waits for it.
func (l *decideLane) redrive(ctx context.Context, requested []redelivery) error {
	byOrder := map[string][]redelivery{}
	for _, r := range requested {
		item, err := l.reader.get(ctx, r.sequence)
		if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
			return err
		}
		order := fmt.Sprint(r.sequence) // alone, if it names no order
		if err == nil {
			if e, err := item.Envelope(); err == nil && e.CorrelationID != "" {
				order = e.CorrelationID
			}
		}
		byOrder[order] = append(byOrder[order], r)
	}
	redriving, ctx := errgroup.WithContext(ctx)
	redriving.SetLimit(maxRedriving)
	for _, all := range byOrder {
		slices.SortFunc(all, func(x, y redelivery) int { return cmp.Compare(x.sequence, y.sequence) })
		redriving.Go(func() error {
			for _, r := range all {
				if err := l.redeliver(ctx, r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return redriving.Wait()
}

// redeliver decides about an event again and records the outcome.
func (l *decideLane) redeliver(ctx context.Context, r redelivery) error {
	dead, err := l.openDeadLetter(ctx, r)
	if err != nil || dead == nil {
		return err
	}
	item, err := l.reader.get(ctx, r.sequence)
	switch {
	case err == nil && item.Voided():
		err = DeadLetter(voided(item))
	case err == nil:
		_, err = l.decideBeside(ctx, item)
	}
	if err != nil && (IsInfrastructure(err) || ctx.Err() != nil) {
		return err
	}
	return l.recordOutcome(ctx, r, dead.Attempt+1, err)
}

// takeRedelivery opens an act for the next event of the request; nil when there is nothing to do for that event. The lane
// advances past the request when all of its events are taken, because the checkpoint then holds their open acts.
func (a *actLane) takeRedelivery(ctx context.Context) (next *act, err error) {
	r := a.redelivering[0]
	dead, err := a.openDeadLetter(ctx, r)
	if err != nil {
		return nil, err
	}
	open := a.open[r.sequence]
	switch {
	case dead == nil:
	case open != nil: // the previous holder died before a checkpoint without the act, or has begun the redelivery
		open.Redelivery = r.request
		a.change()
	default:
		if next, err = a.openRedelivery(ctx, r, dead); err != nil {
			return nil, err
		}
	}
	if a.redelivering = a.redelivering[1:]; len(a.redelivering) == 0 {
		a.advance(a.taken)
	}
	return next, nil
}

// openRedelivery opens an act whose attempts continue after those of its dead letter. If the log has lost the event, the
// redelivery fails.
func (a *actLane) openRedelivery(ctx context.Context, r redelivery, dead *deadLetter) (*act, error) {
	item, err := a.reader.get(ctx, r.sequence)
	if errors.Is(err, eventlog.ErrNotFound) {
		return nil, a.recordOutcome(ctx, r, dead.Attempt+1, err)
	}
	if err != nil {
		return nil, err
	}
	o := &act{Sequence: r.sequence, Attempt: dead.Attempt, Redelivery: r.request, item: item}
	a.addOpen(o)
	a.change()
	return o, nil
}

// concludeRedelivery records the outcome of an act if it was redelivered or replayed.
func (a *actLane) concludeRedelivery(ctx context.Context, o *act, cause error) error {
	switch {
	case o.Replay > 0 && (cause != nil || a.replayer.open.mayHave(a.name, o.Sequence)):
		return a.recordReplay(ctx, o.Replay, o.item, cause)
	case o.Redelivery == 0:
		return nil
	}
	return a.recordOutcome(ctx, redelivery{o.Redelivery, o.Sequence}, o.Attempt, cause)
}

// deadLetter makes the event of an act a dead letter, or records in its dead letter that the redelivery failed.
func (a *actLane) deadLetter(ctx context.Context, o *act, cause error) error {
	if o.Redelivery > 0 || o.Replay > 0 {
		return a.concludeRedelivery(ctx, o, cause)
	}
	if errors.Is(cause, events.ErrBadID) {
		a.skip(o.item, cause)
		return nil
	}
	return putDeadLetter(ctx, a.lane, o.item, o.Attempt, cause)
}
