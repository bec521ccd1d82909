package worker

import (
	"context"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// decideLane makes the decisions of one domain.
type decideLane struct {
	*lane
	domain   *eventlog.Log
	prefixes []string // of the subjects that the domain owns
	routes   map[string]func(*eventlog.Tx, events.Event) error
	replayer *replayer // nil in a process without lanes

	active  bool          // this process runs the lane, and its checkpoint is loaded
	lost    chan struct{} // closed when the lane must end
	cursor  cursor
	taken   uint64          // every event up to this sequence was taken from the log
	jobs    []*job          // taken and not handled yet
	handled map[uint64]bool // events that a cascade has decided about, after taken

	blocked bool // the next event cannot be handled at the moment
	delays  *backoff.ExponentialBackOff
	retryAt time.Time
}

// How long a lane is blocked when the log is unavailable.
const (
	blockInitial = 50 * time.Millisecond
	blockMaximum = 5 * time.Second
)

func newDecideLane(l *lane, domain *eventlog.Log, routes []Route) *decideLane {
	byType := make(map[string]func(*eventlog.Tx, events.Event) error, len(routes))
	for _, r := range routes {
		byType[r.eventType] = r.handle
	}
	return &decideLane{lane: l, domain: domain, prefixes: events.OwnedPrefixes(l.name), routes: byType, delays: doubling(blockInitial, blockMaximum)}
}

// owns reports whether the lane's domain owns the subject of a message.
func (l *decideLane) owns(item *Item) bool {
	for _, prefix := range l.prefixes {
		if strings.HasPrefix(item.Subject, prefix) {
			return true
		}
	}
	return false
}

// fetch takes the next events that the lane handles, before the sequence end.
func (l *decideLane) fetch(ctx context.Context, end uint64) error {
	defer l.advanceToJobs()
	for len(l.jobs) == 0 && l.cursor.next < end {
		items, err := l.cursor.take(ctx, int(min(maxJobs, end-l.cursor.next)))
		if err != nil || len(items) == 0 {
			return err
		}
		for _, item := range items {
			l.taken = item.Sequence
			if l.handled[item.Sequence] {
				delete(l.handled, item.Sequence)
				continue
			}
			if r := l.requestIn(item); r != nil {
				l.jobs = append(l.jobs, &job{lane: l, request: r})
			}
			if l.handles(item) {
				l.jobs = append(l.jobs, &job{lane: l, item: item})
			}
		}
	}
	return nil
}

// advanceToJobs advances the position to the event before the first job.
func (l *decideLane) advanceToJobs() {
	if len(l.jobs) > 0 {
		l.advance(l.jobs[0].sequence() - 1)
		return
	}
	l.advance(l.taken)
}

// handles reports whether the lane decides about a message: it has a route for it and can read it. It passes over a message
// that it cannot read, if it has a route for it or the subject belongs to its domain.
func (l *decideLane) handles(item *Item) bool {
	routed := l.routes[item.Type()] != nil
	if !routed && !l.owns(item) || item.Voided() {
		return false
	}
	_, err := item.Envelope()
	if err == nil && routed {
		_, err = item.Event()
	}
	if err != nil {
		l.skip(item, err)
	}
	return err == nil && routed
}

// requestIn returns what a message requests from the lane: a batch of a replay, or a redrive of dead letters; nil when it is no
// request.
func (l *decideLane) requestIn(item *Item) *request {
	if b := l.batch(item); b != nil {
		return l.replayer.requestOf(b)
	}
	if dead := l.redeliveries(item); len(dead) > 0 {
		return &request{item.Sequence, func(ctx context.Context) error { return l.redrive(ctx, dead) }}
	}
	return nil
}

// decideBeside decides about an event beside the loop, in a transaction of its own and without a cascade: lanes decide about the facts
// when they read them.
func (l *decideLane) decideBeside(ctx context.Context, item *Item) (decided *eventlog.Tx, err error) {
	j := &job{lane: l, item: item}
	err = l.domain.Do(ctx, func(tx *eventlog.Tx) error {
		decided = tx
		_, err := (&round{tx: tx, pending: pending{}, alone: true}).dispatch(j)
		return err
	})
	return decided, err
}

// decideAgain decides about an event of a replay.
func (l *decideLane) decideAgain(ctx context.Context, b *batchAgain, item *Item) error {
	decided, err := l.decideBeside(ctx, item)
	if err != nil {
		return err
	}
	for i := range decided.Len() {
		b.counts.AddFact(decided.Fact(i).Type, 1)
	}
	return nil
}

// done removes the first job, which is handled.
func (l *decideLane) done() {
	l.jobs = l.jobs[1:]
	l.advanceToJobs()
	l.unblock()
}

// block makes the lane wait, because its next event cannot be handled at the moment. Other lanes continue.
func (l *decideLane) block(err error) {
	delay := l.delays.NextBackOff()
	l.blocked, l.retryAt = true, time.Now().Add(delay)
	l.report(err)
	l.log.Logger().Warn("lane blocked", "lane", l.name, "events", len(l.jobs), "after", delay, "error", err)
}

func (l *decideLane) unblock() {
	l.delays.Reset()
	l.report(nil)
}

// giveUp ends the lane in this process, so that another process can acquire its lease.
func (l *decideLane) giveUp(err error) {
	l.report(err)
	l.log.Logger().Error("lane given up", "lane", l.name, "error", err)
	if !isClosed(l.lost) {
		close(l.lost)
	}
	l.blocked, l.retryAt = true, time.Now().Add(blockMaximum) // until the lane has ended
}
