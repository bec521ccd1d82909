package log

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"
)

// maxAttempts bounds how often one decision is made again. 50 writers of one entity need at most 50 rounds; what needs more
// than this is not contention but a fault.
const maxAttempts = 256

// Do runs one decision: fn loads what it needs, decides and appends, and all of it is committed at once. When another
// writer changed one of the entities meanwhile fn runs again on the new state, so it must not do anything else.
// An error of fn is returned as it is and nothing is appended, unless it cannot be told whether it was decided on the
// newest state: then [ErrUnavailable], as if nothing had been decided. Otherwise Do returns [ErrUnavailable],
// [ErrTooLarge], [ErrContention] or [ErrUnreadable].
func (l *Log) Do(ctx context.Context, fn func(tx *Tx) error) error {
	for attempt := range maxAttempts {
		tx := l.Begin(ctx)
		tx.again = attempt > 0
		err := fn(tx)
		if err != nil {
			// A refusal is a decision too: it must not be made on an old state either.
			stale, staleErr := tx.staleForRefusal()
			if staleErr != nil {
				return staleErr
			}
			if len(stale) == 0 && !errors.Is(err, errConflict) {
				return err
			}
			continue
		}
		err = tx.Commit()
		if !errors.Is(err, errConflict) {
			return err
		}
		if attempt > 8 {
			// Many writers of one entity: spread them out, else each round has one winner and all others reload.
			if err := pause(ctx, time.Duration(rand.Int64N(int64(min(attempt, 50))*int64(time.Millisecond)))); err != nil {
				return err
			}
		}
	}
	return ErrContention
}

// Try is Do without the commit: it runs one decision on the newest states and appends nothing. What fn has appended by the end of
// its last run is what Do would have committed. fn may run several times, so it must begin what it notes down anew each time.
// It returns fn's error, [ErrUnavailable], [ErrContention] or [ErrUnreadable].
func (l *Log) DryRun(ctx context.Context, fn func(tx *Tx) error) error {
	for range maxAttempts {
		tx := l.Begin(ctx)
		tx.again = true // no commit would find out that an entity is not new
		err := fn(tx)
		stale, staleErr := tx.staleForRefusal()
		if staleErr != nil {
			return staleErr
		}
		if len(stale) == 0 && !errors.Is(err, errConflict) {
			return err
		}
	}
	return ErrContention
}

// IsConflict reports whether Commit was refused because an entity has moved on.
func IsConflict(err error) bool { return errors.Is(err, errConflict) }

// part is what is stored whole or not at all: the facts of one unit and those it was joined with.
type part struct {
	facts    []*fact
	messages []*nats.Msg
	request  *request
}

func (p *part) add(f *fact) {
	p.facts = append(p.facts, f)
	p.messages = append(p.messages, f.message)
}

// Commit stores everything that was appended, or nothing. A refusal that [IsConflict] means: begin again.
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

// CommitEach stores each unit apart from the others: of several decisions only those fail that another writer was faster
// at. It returns what became of a unit, by the number that [Tx.Unit] gave it.
func (tx *Tx) CommitEach() func(unit int) error {
	stale, err := tx.staleReads()
	if err != nil {
		return func(int) error { return err }
	}
	outcome := map[int]error{}
	for _, s := range stale {
		outcome[tx.units.root(s.unit)] = errConflict
	}
	parts := map[int]*part{}
	var order []int // of the roots: facts are queued as they were decided
	for i := range tx.facts {
		root := tx.units.root(tx.facts[i].unit)
		if outcome[root] != nil {
			continue
		}
		if parts[root] == nil {
			parts[root] = &part{}
			order = append(order, root)
		}
		parts[root].add(&tx.facts[i])
	}
	for _, root := range order {
		outcome[root] = tx.enqueue(parts[root])
	}
	for _, root := range order {
		if outcome[root] == nil {
			outcome[root] = tx.await(parts[root])
		}
	}
	return func(unit int) error { return outcome[tx.units.root(unit)] }
}

func (tx *Tx) enqueue(p *part) (err error) {
	if len(p.messages) > MaxBatch {
		return fmt.Errorf("%w: %d facts, at most %d", ErrTooLarge, len(p.messages), MaxBatch)
	}
	if err := tx.log.Damage(); err != nil {
		return err
	}
	p.request, err = tx.log.committer.enqueue(tx.ctx, p.messages)
	return err
}

// await has what was stored cached, and what was refused forgotten.
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

// staleReads checks the entities that were read from the cache, or assumed to be new, and not written, and returns those
// that have moved on. The broker cannot compare these, and "nothing to do" decided on an old state would lose an event.
// What was written is compared at the commit. A process that follows the log has compared the cache already.
func (tx *Tx) staleReads() ([]*subject, error) {
	return tx.stale(func(s *subject) bool { return s.pending == 0 && (s.assumed || s.cached && !s.followed) })
}

// staleForRefusal checks every entity that was looked at. A refusal commits nothing, so nothing else would notice that two
// entities were read at different moments and do not fit together: what one says may be the reason for the other.
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
