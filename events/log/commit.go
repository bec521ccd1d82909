package log

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// maxAttempts bounds how often one decision is repeated. 50 writers of one entity need at most 50 attempts; a decision that
// needs more than this has met a fault rather than contention.
const maxAttempts = 256

// From this attempt on a decision waits a random time before it is repeated, so that many writers of one entity spread out.
// Otherwise each round has one winner, and all others reload.
const crowdedAttempts = 8

// Do runs one decision: fn loads the entities it needs, decides and appends, and Do commits everything at once. When
// another writer has changed one of the entities meanwhile, fn runs again on the new state, so fn must have no other effects.
// Do returns an error of fn unchanged and appends nothing. When it cannot verify that fn saw the newest state, it returns
// [ErrUnavailable] instead. Its other errors are [ErrTooLarge], [ErrContention] and [ErrUnreadable].
func (l *Log) Do(ctx context.Context, fn func(tx *Tx) error) error {
	for attempt := range maxAttempts {
		tx := l.Begin(ctx)
		tx.repeated = attempt > 0
		err := fn(tx)
		if err != nil {
			// A refusal is a decision too, and must not be made on an old state either.
			again, err := tx.mustRepeat(err)
			if !again {
				return err
			}
			continue
		}
		err = tx.Commit()
		if !errors.Is(err, errConflict) {
			return err
		}
		if attempt > crowdedAttempts {
			if err := pause(ctx, time.Duration(rand.Int64N(int64(min(attempt, 50))*int64(time.Millisecond)))); err != nil {
				return err
			}
		}
	}
	return ErrContention
}

// DryRun is Do without the commit: it runs one decision on the newest states and appends nothing. What fn has appended when
// its last run ends is what Do would have committed. fn may run several times, so it must reset its results in each run.
// DryRun returns fn's error, [ErrUnavailable], [ErrContention] or [ErrUnreadable].
func (l *Log) DryRun(ctx context.Context, fn func(tx *Tx) error) error {
	for range maxAttempts {
		tx := l.Begin(ctx)
		tx.repeated = true // without a commit, an assumption that an entity is new would not be checked
		if again, err := tx.mustRepeat(fn(tx)); !again {
			return err
		}
	}
	return ErrContention
}

// mustRepeat reports whether a decision that returned err was made on an old state. If not, it returns the error to report.
func (tx *Tx) mustRepeat(err error) (bool, error) {
	stale, staleErr := tx.staleForRefusal()
	if staleErr != nil {
		return false, staleErr
	}
	return len(stale) > 0 || errors.Is(err, errConflict), err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// part is the events that are stored together or not at all: those of one unit and of the units it was joined with.
type part struct {
	facts    []*fact
	messages []*nats.Msg
	request  *request
}

func (p *part) add(f *fact) {
	p.facts = append(p.facts, f)
	p.messages = append(p.messages, f.message)
}

// Commit stores everything that was appended, or nothing. After an error that [IsConflict] reports, begin a new transaction.
func (tx *Tx) Commit() error {
	stale, err := tx.staleReads()
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		return errConflict
	}
	whole := &part{}
	for i := range tx.facts {
		whole.add(&tx.facts[i])
	}
	if len(whole.facts) == 0 {
		return nil
	}
	if err := tx.enqueue(whole); err != nil {
		return err
	}
	return tx.await(whole)
}

// CommitEach stores each unit separately: a conflict fails only the units that it concerns. It returns a function that
// gives the outcome of a unit, by the number that [Tx.Unit] returned.
func (tx *Tx) CommitEach() func(unit int) error {
	stale, err := tx.staleReads()
	if err != nil {
		return func(int) error { return err }
	}
	outcomes := map[int]error{}
	for _, s := range stale {
		outcomes[tx.units.root(s.unit)] = errConflict
	}
	parts := map[int]*part{}
	var order []int // roots in the order of their first event, so that events are queued as they were decided
	for i := range tx.facts {
		root := tx.units.root(tx.facts[i].unit)
		if outcomes[root] != nil {
			continue
		}
		if parts[root] == nil {
			parts[root] = &part{}
			order = append(order, root)
		}
		parts[root].add(&tx.facts[i])
	}
	for _, root := range order {
		outcomes[root] = tx.enqueue(parts[root])
	}
	for _, root := range order {
		if outcomes[root] == nil {
			outcomes[root] = tx.await(parts[root])
		}
	}
	return func(unit int) error { return outcomes[tx.units.root(unit)] }
}

func (tx *Tx) enqueue(p *part) (err error) {
	if len(p.messages) > MaxBatch {
		return fmt.Errorf("%w: %d events, at most %d", ErrTooLarge, len(p.messages), MaxBatch)
	}
	if err := tx.log.Damage(); err != nil {
		return err
	}
	p.request, err = tx.log.committer.enqueue(tx.ctx, p.messages)
	return err
}

// await waits for the answer to a part. It caches the states of a stored part and drops those of a refused one.
func (tx *Tx) await(p *part) error {
	err := <-p.request.answer
	last := map[*subject]uint64{} // index of each subject's last message
	for i, f := range p.facts {
		f.at = position{p.request, uint64(i)}
		if f.subject != nil {
			last[f.subject] = uint64(i)
		}
	}
	for s, i := range last {
		for _, slot := range s.slots {
			if err == nil {
				tx.log.cache.put(slot.fold.key(s.name), entry{state: slot.state, seq: p.request.first + i, revision: s.revision})
			} else {
				tx.log.cache.forget(slot.fold.key(s.name), s.seq)
			}
		}
	}
	if err != nil {
		p.request.first = 0
	}
	return err
}

// staleReads returns the entities that have newer events, among those that were read from the cache, or assumed to be new,
// and not written. The broker compares only written entities, and "nothing to do" decided on an old state would lose an
// event. States of a process that follows the log were compared when the events were read.
func (tx *Tx) staleReads() ([]*subject, error) {
	return tx.stale(func(s *subject) bool { return s.pending == 0 && (s.assumed || s.cached && !s.followed) })
}

// staleForRefusal returns the entities that have newer events, among all that were loaded. A refusal commits nothing, so no
// other check would detect that two entities were read at different moments and their difference caused the refusal.
func (tx *Tx) staleForRefusal() ([]*subject, error) {
	return tx.stale(func(*subject) bool { return true })
}

func (tx *Tx) stale(doubtful func(*subject) bool) ([]*subject, error) {
	var mu sync.Mutex
	var stale []*subject
	group, ctx := errgroup.WithContext(tx.ctx)
	group.SetLimit(32)
	for _, s := range tx.subjects {
		if !doubtful(s) {
			continue
		}
		group.Go(func() error {
			last, err := tx.log.lastMessage(ctx, s.name)
			if err != nil {
				return err
			}
			if last != nil && last.Sequence > s.seq {
				for _, slot := range s.slots {
					tx.log.cache.forget(slot.fold.key(s.name), s.seq)
				}
				mu.Lock()
				defer mu.Unlock()
				stale = append(stale, s)
			}
			return nil
		})
	}
	err := group.Wait()
	if err != nil && tx.ctx.Err() != nil {
		return nil, tx.ctx.Err()
	}
	return stale, err
}

// metrics measure the group commit: how many events share one fsync, and how long a commit takes.
type metrics struct {
	facts    prometheus.Counter
	batch    prometheus.Histogram
	duration prometheus.Histogram
	refused  prometheus.Counter
	read     prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		facts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_log_facts_total", Help: "Events sent to the broker."}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tillstream_log_batch_facts", Help: "Events per commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tillstream_log_commit_seconds", Help: "Time from publish to durable.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16)}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_log_refused_total", Help: "Appends that the broker had no room for or did not answer."}),
		read: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tillstream_log_deliveries_total", Help: "Messages that the broker delivered to readers of this process."}),
	}
	if registerer != nil {
		registerer.MustRegister(m.facts, m.batch, m.duration, m.refused, m.read)
	}
	return m
}

// registerMissing registers gauges of how many events the log lacks: missing in the archive too, and filled from it.
func registerMissing(registerer prometheus.Registerer, missing, filled func() float64) {
	if registerer != nil {
		registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tillstream_log_missing_events", Help: "Events that both the log and the archive lack. While there are any, this process appends nothing."}, missing),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "tillstream_log_filled_events", Help: "Events that the log lacks and that this process reads from the archive, until ops repair restores the log."}, filled))
	}
}

func (m *metrics) observe(b *batch, took time.Duration) {
	m.facts.Add(float64(b.messages))
	m.batch.Observe(float64(b.messages))
	m.duration.Observe(took.Seconds())
}
