package worker

import (
	"context"
	"time"

	"tillstream/events"
	"tillstream/events/internal/feed"
	"tillstream/events/log"
)

// Decider is a durable consumer whose events become facts of one stream.
type Decider struct {
	Filter []string // subjects of Source; default all
	Name   string   // of the durable consumer
	Routes []Route
	Source string // stream
}

// maxEvents is how many events one transaction handles. A hold of two lines is three facts, so more would not fit a batch.
const maxEvents = 500

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
	d.health.started(f.Pending)
	for {
		batch := f.Take(ctx, maxEvents)
		if batch == nil {
			return nil
		}
		d.handle(ctx, work, batch)
	}
}

// handle sees a batch through. What could not be committed because the log is away is tried again until it is back or
// the process stops; then it stays unacknowledged and somebody else gets it.
func (d *decideLoop) handle(ctx, work context.Context, batch []delivery) {
	for wait := 50 * time.Millisecond; len(batch) > 0; {
		n, err := d.decide(work, batch)
		if n > 0 {
			d.acknowledge(batch[n-1])
			batch = batch[n:]
		}
		d.health.report(err)
		if err == nil {
			wait = 50 * time.Millisecond
			continue
		}
		d.log.Logger().Warn("decider waits", "worker", d.Name, "events", len(batch), "error", err)
		if !sleep(ctx, wait) {
			return
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// acknowledge is for everything up to m. A lost acknowledgement delivers the events again, which changes nothing.
func (d *decideLoop) acknowledge(m delivery) {
	if err := m.Ack(); err != nil {
		d.log.Logger().Warn("acknowledge", "worker", d.Name, "sequence", m.Sequence, "error", err)
	}
}

// failed is an event that its handler could not handle.
type failed struct {
	delivery
	err error
}

// decide runs events through their handlers in one transaction and commits it. It returns how many were handled: fewer
// than all when the transaction was full. When somebody else was faster, each event decides on its own.
func (d *decideLoop) decide(ctx context.Context, batch []delivery) (int, error) {
	tx := d.log.Begin(ctx)
	n, parked, err := d.gather(tx, batch)
	if err != nil {
		return 0, err
	}
	if n == 0 { // the first event alone is too much for one transaction
		return 1, d.park(ctx, []failed{{batch[0], log.ErrTooLarge}})
	}
	err = tx.Commit()
	if log.IsConflict(err) {
		return d.oneByOne(ctx, batch[:n])
	}
	if err != nil {
		if isInfrastructure(err) {
			return 0, err
		}
		return d.oneByOne(ctx, batch[:n]) // one of them is refused by the broker: find it
	}
	return n, d.park(ctx, parked)
}

// gather fills a transaction with the facts of as many events as fit. An event that fails leaves no fact behind.
func (d *decideLoop) gather(tx *log.Tx, batch []delivery) (n int, parked []failed, err error) {
	for i, m := range batch {
		mark := tx.Len()
		err := d.one(tx, m)
		if err != nil && isInfrastructure(err) {
			return 0, nil, err
		}
		if err != nil {
			tx.RollBack(mark)
			parked = append(parked, failed{m, err})
		}
		if tx.Len() > log.MaxBatch {
			tx.RollBack(mark)
			return i, parked, nil
		}
	}
	return len(batch), parked, nil
}

func (d *decideLoop) one(tx *log.Tx, m delivery) error {
	e, handle, found, err := open(d.routes, m, d.Source)
	if err != nil || !found {
		return err
	}
	tx.Because(e)
	return safely(func() error { return handle(tx, e) })
}

// oneByOne handles each event in a transaction of its own, which decides again for as long as others are faster.
func (d *decideLoop) oneByOne(ctx context.Context, batch []delivery) (int, error) {
	for i, m := range batch {
		err := d.log.Do(ctx, func(tx *log.Tx) error { return d.one(tx, m) })
		if err != nil && isInfrastructure(err) {
			return i, err
		}
		if err != nil {
			if err := d.park(ctx, []failed{{m, err}}); err != nil {
				return i, err
			}
		}
	}
	return len(batch), nil
}

func (d *decideLoop) park(ctx context.Context, parked []failed) error {
	for _, f := range parked {
		if err := park(ctx, d.log, d.Name, d.Source, f.delivery, f.err); err != nil {
			return err
		}
	}
	return nil
}

// sleep waits and reports whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
