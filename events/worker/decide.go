package worker

import (
	"context"
	"time"

	"tillstream/events"
	"tillstream/events/crash"
	"tillstream/events/internal/feed"
	"tillstream/events/log"
)

// Decider is a durable consumer whose events become facts of one stream.
type Decider struct {
	Filter []string               // subjects of Source; default all
	Finish func(tx *log.Tx) error // after the handlers of a batch: says in one fact what they gathered, and forgets it; default nothing
	Name   string                 // of the durable consumer
	Routes []Route
	Source string // stream
}

// maxEvents is how many events one transaction handles. A hold of two lines is three facts, so more would not fit a batch.
const maxEvents = 500

// longestGathering bounds how long a transaction gathers facts. Where every state takes the broker long to read, smaller
// transactions get somewhere; large ones are given up, or delivered again, before they are full.
const longestGathering = time.Second

type decideLoop struct {
	Decider
	log    *log.Log
	health *health
	routes map[string]func(*log.Tx, events.Event) error
}

func newDecideLoop(l *log.Log, d Decider, h *health) *decideLoop {
	routes := make(map[string]func(*log.Tx, events.Event) error, len(d.Routes))
	for _, r := range d.Routes {
		routes[r.eventType] = r.handle
	}
	return &decideLoop{Decider: d, log: l, health: h, routes: routes}
}

func (d *decideLoop) config() feed.Config {
	return feed.Config{Name: d.Name, Stream: d.Source, Filter: d.Filter, Exclusive: true, Prefetch: 2 * maxEvents, MaxAckPending: 4 * maxEvents}
}

// run decides until ctx ends; work that has begun is finished on its own context.
func (d *decideLoop) run(ctx, work context.Context) error {
	f, err := feed.Open(ctx, d.log, d.config())
	if err != nil {
		return err
	}
	defer f.Close()
	d.health.started(f)
	for {
		batch := f.Take(ctx, maxEvents)
		if batch == nil {
			return nil
		}
		crash.In(d.Name, "decide.fetched")
		d.handle(ctx, work, f, batch)
	}
}

// handle sees a batch through. What could not be committed because the log is away is tried again until it is back or
// the process stops; then it stays unacknowledged and somebody else gets it.
func (d *decideLoop) handle(ctx, work context.Context, f *feed.Feed, batch []delivery) {
	for wait := 50 * time.Millisecond; len(batch) > 0; {
		n, err := d.decide(work, batch)
		if n > 0 {
			crash.In(d.Name, "decide.committed")
			f.Acknowledge(batch[:n])
			crash.In(d.Name, "decide.acked")
			batch = batch[n:]
		}
		d.health.report(err)
		if err == nil {
			wait = 50 * time.Millisecond
			continue
		}
		d.log.Logger().Warn("decider waits", "worker", d.Name, "events", len(batch), "error", err)
		if !Pause(ctx, wait) {
			return
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// decided is an event with the unit of the transaction that its facts are in, or why it was set aside.
type decided struct {
	delivery
	unit int
	err  error
}

// decide runs events through their handlers in one transaction and commits what each led to. It returns how many were
// handled: fewer than all when the transaction was full. Where somebody else was faster the event decides again, alone.
func (d *decideLoop) decide(ctx context.Context, batch []delivery) (int, error) {
	tx := d.log.Begin(ctx)
	done, err := d.gather(tx, batch)
	if err != nil {
		return 0, err
	}
	unfinished := d.finish(tx)
	if len(done) == 0 { // the first event alone is too much for one transaction
		if err := d.park(ctx, batch[0], log.ErrTooLarge); err != nil {
			return 0, err
		}
		return 1, nil
	}
	if unfinished != nil {
		return d.oneByOne(ctx, done, unfinished)
	}
	crash.In(d.Name, "decide.decided")
	outcome := tx.CommitEach()
	for _, e := range done {
		if err := d.settle(ctx, e, outcome(e.unit)); err != nil {
			return 0, err // those that are handled are handled again, which changes nothing
		}
	}
	return len(done), nil
}

// settle sees one event to its end, given what became of its facts.
func (d *decideLoop) settle(ctx context.Context, e decided, committed error) error {
	switch {
	case committed != nil && IsInfrastructure(committed):
		return committed
	case committed != nil, e.err != nil:
		// In a batch a refusal may come of states that were read at different moments. Alone it is final.
		return d.alone(ctx, e.delivery)
	}
	return nil
}

// gather fills a transaction with the facts of as many events as fit and are decided in time. An event that fails leaves
// no fact behind. One for which the log is away ends the transaction: what was decided before it need not be again.
func (d *decideLoop) gather(tx *log.Tx, batch []delivery) ([]decided, error) {
	done, enough := make([]decided, 0, len(batch)), time.Now().Add(longestGathering)
	for _, m := range batch {
		if len(done) > 0 && time.Now().After(enough) {
			break
		}
		mark := tx.Len()
		unit, err := d.one(tx, m)
		if err != nil {
			tx.RollBack(mark)
		}
		if err != nil && IsInfrastructure(err) {
			if len(done) == 0 {
				return nil, err
			}
			break
		}
		if tx.Len() > log.MaxBatch {
			tx.RollBack(mark)
			break
		}
		done = append(done, decided{m, unit, err})
	}
	return done, nil
}

// finish lets the decider sum a batch up.
func (d *decideLoop) finish(tx *log.Tx) error {
	if d.Finish == nil {
		return nil
	}
	return safely(func() error { return d.Finish(tx) })
}

// oneByOne handles events that could not be summed up together: each is a batch of its own, so that only the one that is
// the reason for it is parked. It returns how many were handled.
func (d *decideLoop) oneByOne(ctx context.Context, batch []decided, because error) (int, error) {
	if IsInfrastructure(because) {
		return 0, because
	}
	for i, e := range batch {
		if err := d.alone(ctx, e.delivery); err != nil {
			return i, err
		}
	}
	return len(batch), nil
}

func (d *decideLoop) one(tx *log.Tx, m delivery) (unit int, err error) {
	e, handle, found, err := open(d.routes, m, d.Source)
	unit = tx.Because(e)
	if err != nil || !found {
		return unit, err
	}
	return unit, safely(func() error { return handle(tx, e) })
}

// alone handles one event in a transaction of its own, which decides again for as long as others are faster.
func (d *decideLoop) alone(ctx context.Context, m delivery) error {
	err := d.log.Do(ctx, func(tx *log.Tx) error {
		if _, err := d.one(tx, m); err != nil {
			return err
		}
		return d.finish(tx)
	})
	if err != nil && !IsInfrastructure(err) {
		return d.park(ctx, m, err)
	}
	return err
}

func (d *decideLoop) park(ctx context.Context, m delivery, cause error) error {
	return park(ctx, d.log, d.health, d.Source, m, cause)
}
