package worker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/failpoint"
	"tillstream/events/log"
)

// decider is the one loop of a process that decides about events, for all of its domains. It is the only one, so that two
// decisions of one process about the same stock do not conflict; they share a transaction instead.
type decider struct {
	*Dispatcher
	log    *log.Log
	reader *reader
	signal *signal

	submitted chan *job
	first     *job          // taken from submitted already
	closing   chan struct{} // closed when nothing more is submitted
	stopping  sync.RWMutex  // closing excludes submitting
	stopped   bool

	mu    sync.Mutex
	moves []func() // lanes to enter or leave, between two rounds
	woken chan struct{}
}

// decideLane is the decisions of one domain.
type decideLane struct {
	*lane
	domain *log.Log
	owns   []string
	routes map[string]func(*log.Tx, events.Event) error

	active  bool // this process has the lease and a place to go on from
	lost    chan struct{}
	cursor  cursor
	taken   uint64          // everything up to here was taken from the log
	batch   []*job          // taken and not handled yet
	handled map[uint64]bool // decided already, in the transaction that appended them

	stuck  bool          // its next event cannot be handled at the moment
	wait   time.Duration // before it is tried again
	resume time.Time
}

// Bounds of one transaction of the loop: events of a lane and submitted decisions, and the time that it gathers. Where every
// state takes the broker long to read, small transactions get somewhere; large ones would be given up before they are full.
const (
	maxJobs          = 500
	longestGathering = time.Second
)

// How long a lane waits when the log was away, the first time and at most.
const (
	waitFirst   = 50 * time.Millisecond
	waitLongest = 5 * time.Second
)

func newDecider(l *log.Log, r *reader) *decider {
	return &decider{Dispatcher: &Dispatcher{}, log: l, reader: r, submitted: make(chan *job, 1024), closing: make(chan struct{}), woken: make(chan struct{}, 1)}
}

// cares reports whether a message concerns any lane of this loop.
func (d *decider) cares(item *Item) bool {
	for _, l := range d.decides {
		if l.routes[item.Type()] != nil || l.isOwn(item) || len(l.redeliveries(item)) > 0 {
			return true
		}
	}
	return false
}

// isOwn reports whether a message stands under a prefix of the lane's domain.
func (l *decideLane) isOwn(item *Item) bool {
	for _, prefix := range l.owns {
		if strings.HasPrefix(item.Subject, prefix) {
			return true
		}
	}
	return false
}

// run decides until stop is closed, which is after its lanes have left. When ctx ends nothing more is begun; what has begun
// is finished on the context work.
func (d *decider) run(ctx, work context.Context, stop <-chan struct{}) {
	d.signal = d.reader.ring.subscribe(d.cares)
	defer d.reader.ring.unsubscribe(d.signal)
	defer d.close()
	for !isClosed(stop) {
		d.move()
		jobs := d.gather(ctx)
		if len(jobs) > 0 {
			failpoint.At("decide.fetched")
			d.handle(ctx, work, jobs)
		}
		d.checkpoint(work)
		if len(jobs) == 0 {
			d.rest(stop)
		}
	}
}

// rest waits until there may be something to do.
func (d *decider) rest(stop <-chan struct{}) {
	idle := checkpointEvery / 2
	for _, l := range d.decides {
		if l.active && l.stuck {
			idle = max(min(idle, time.Until(l.resume)), 0)
		}
	}
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case <-stop:
	case <-d.signal.C:
	case <-d.woken:
	case <-timer.C:
	case d.first = <-d.submitted:
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// move lets lanes enter and leave between two rounds.
func (d *decider) move() {
	d.mu.Lock()
	moves := d.moves
	d.moves = nil
	d.mu.Unlock()
	for _, m := range moves {
		m()
	}
}

// between runs fn between two rounds of the loop and returns when it has run.
func (d *decider) between(fn func()) {
	done := make(chan struct{})
	d.mu.Lock()
	d.moves = append(d.moves, func() { fn(); close(done) })
	d.mu.Unlock()
	d.wake()
	<-done
}

// wake has the loop begin another round.
func (d *decider) wake() {
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

// runLane has the loop decide for a lane for as long as ctx, in which this process has the lease, lasts.
func (d *decider) runLane(ctx context.Context, l *decideLane) error {
	checkpoint, err := l.begin(ctx)
	for err != nil {
		l.report(err)
		l.log.Logger().Warn("begin lane", "lane", l.name, "error", err)
		if !Sleep(ctx, time.Second) {
			return nil
		}
		checkpoint, err = l.begin(ctx)
	}
	defer l.end()
	lost := make(chan struct{})
	d.between(func() {
		l.active, l.stuck, l.taken, l.batch, l.handled, l.lost = true, false, checkpoint.Position, nil, map[uint64]bool{}, lost
		l.cursor = cursor{reader: d.reader, next: checkpoint.Position + 1}
	})
	select {
	case <-ctx.Done():
	case <-lost:
	}
	d.between(func() { l.active, l.batch = false, nil })
	l.saveLast(ctx, nil)
	return l.newer()
}

// gather returns what there is to decide about: of each lane in the order of the log, then what was submitted. A lane that
// has much to catch up with keeps nobody who submits waiting for longer than a round.
func (d *decider) gather(ctx context.Context) (jobs []*job) {
	end := d.reader.ring.next() // for all of them, so that a cascade finds none that has heard less than another
	for _, l := range d.decides {
		if !l.active || l.pausedNow() || ctx.Err() != nil || l.stuck && time.Now().Before(l.resume) {
			continue
		}
		l.stuck = false
		if len(l.batch) == 0 {
			err := l.fetch(ctx, end)
			if errors.Is(err, events.ErrNewer) {
				l.giveUp(err)
				continue
			}
			if err != nil {
				l.putOff(err)
				continue
			}
			l.goesOn()
		}
		jobs = append(jobs, l.batch...)
	}
	return append(jobs, d.receive()...)
}

// fetch takes the next events of a lane that it has anything to do with, up to an end.
func (l *decideLane) fetch(ctx context.Context, end uint64) error {
	for len(l.batch) == 0 && l.cursor.next < end {
		items, err := l.cursor.take(ctx, int(min(maxJobs, end-l.cursor.next)))
		if err != nil || len(items) == 0 {
			l.settled()
			return err
		}
		for _, item := range items {
			l.taken = item.Sequence
			if l.handled[item.Sequence] {
				delete(l.handled, item.Sequence)
				continue
			}
			for _, again := range l.redeliveries(item) {
				l.batch = append(l.batch, &job{lane: l, again: &again})
			}
			if l.concerns(item) {
				l.batch = append(l.batch, &job{lane: l, item: item})
			}
		}
	}
	l.settled()
	return nil
}

// settled notes how far the lane has come: to before its first job.
func (l *decideLane) settled() {
	if len(l.batch) > 0 {
		l.advance(l.batch[0].place() - 1)
		return
	}
	l.advance(l.taken)
}

// concerns reports whether a lane has a route for a message, or must set it aside because it cannot be read and stands
// among the events of its own domain.
func (l *decideLane) concerns(item *Item) bool {
	routed := l.routes[item.Type()] != nil
	if !routed && !l.isOwn(item) || item.Voided() {
		return false
	}
	if routed {
		return true
	}
	_, err := item.Envelope()
	return err != nil
}

// done moves a lane on behind its first job.
func (l *decideLane) done() {
	l.batch = l.batch[1:]
	l.settled()
	l.goesOn()
}

// putOff has a lane wait, because its next event cannot be handled at the moment. The other lanes go on.
func (l *decideLane) putOff(err error) {
	l.stuck, l.wait = true, min(max(2*l.wait, waitFirst), waitLongest)
	l.resume = time.Now().Add(l.wait)
	l.report(err)
	l.log.Logger().Warn("decisions wait", "lane", l.name, "events", len(l.batch), "error", err)
}

// giveUp has a lane leave the loop, and this process give its lease up.
func (l *decideLane) giveUp(err error) {
	l.report(err)
	l.log.Logger().Error("lane is given up", "lane", l.name, "error", err)
	if !isClosed(l.lost) {
		close(l.lost)
	}
	l.stuck, l.resume = true, time.Now().Add(waitLongest) // until it has left
}

func (l *decideLane) goesOn() {
	l.wait = 0
	l.report(nil)
}

// handle sees jobs through. What cannot be handled because the log is away stays with its lane until the log is back or the
// process stops; then it is left to the successor.
func (d *decider) handle(ctx, work context.Context, jobs []*job) {
	for len(jobs) > 0 {
		jobs = d.decide(work, jobs)
		if ctx.Err() != nil { // nothing more is begun, but who has submitted something gets an answer
			jobs = only(jobs, func(j *job) bool { return j.lane == nil })
		}
	}
}

func (d *decider) checkpoint(work context.Context) {
	for _, l := range d.decides {
		if !l.active {
			continue
		}
		if err := l.saveIfDue(work, noState); errors.Is(err, log.ErrCheckpointConflict) && !isClosed(l.lost) {
			l.log.Logger().Warn("lane is another process's", "lane", l.name)
			close(l.lost)
		}
	}
}
