package log

import (
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"
)

// part is what is stored whole or not at all: the messages of one unit and those it was joined with.
type part struct {
	messages []*nats.Msg
	last     map[*slot]int // position+1 of each entity's last message
	request  *request
}

func (p *part) add(m *nats.Msg, s *slot) {
	p.messages = append(p.messages, m)
	if s != nil {
		p.last[s] = len(p.messages)
	}
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
	whole := &part{last: map[*slot]int{}}
	for i, m := range tx.messages {
		whole.add(m, tx.undo[i].slot)
	}
	if len(whole.messages) == 0 {
		return nil
	}
	if err := tx.enqueue(whole); err != nil {
		return err
	}
	return tx.await(whole)
}

// CommitEach stores what each cause led to, apart from the others: of a batch of decisions only those fail that somebody
// else was faster at. It returns what became of a unit, by the number that Because gave it.
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
	for i, m := range tx.messages {
		root := tx.units.root(tx.undo[i].unit)
		if outcome[root] != nil {
			continue
		}
		if parts[root] == nil {
			parts[root] = &part{last: map[*slot]int{}}
			order = append(order, root)
		}
		parts[root].add(m, tx.undo[i].slot)
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
	p.request, err = tx.log.committers[tx.stream].enqueue(tx.ctx, p.messages)
	return err
}

// await has what was stored remembered, and what was refused forgotten.
func (tx *Tx) await(p *part) error {
	err := <-p.request.answer
	for s, last := range p.last {
		if err == nil {
			tx.log.remember(s.subject, entry{state: s.state, seq: p.request.first + uint64(last) - 1})
		} else {
			tx.log.forget(s.subject, s.seq)
		}
	}
	return err
}

// staleReads checks the entities that were read from the cache and not written, and returns those that have moved on.
// The broker cannot compare these for us, and "nothing to do" decided on an old state would lose an event. What was
// written is compared at the commit.
func (tx *Tx) staleReads() ([]*slot, error) {
	return tx.stale(func(s *slot) bool { return s.cached && s.pending == 0 })
}

// staleForRefusal checks every entity that was looked at. A refusal commits nothing, so nothing else would notice that
// two entities were read at different moments and do not fit together: what one says may be the reason for the other.
func (tx *Tx) staleForRefusal() ([]*slot, error) {
	return tx.stale(func(*slot) bool { return true })
}

func (tx *Tx) stale(doubtful func(*slot) bool) ([]*slot, error) {
	var mu sync.Mutex
	var stale []*slot
	group, ctx := errgroup.WithContext(tx.ctx)
	group.SetLimit(32)
	for _, s := range tx.slots {
		if !doubtful(s) {
			continue
		}
		group.Go(func() error {
			last, err := tx.log.lastMessage(ctx, tx.stream, s.subject)
			if err != nil {
				return err
			}
			if last != nil && last.Sequence > s.seq {
				tx.log.forget(s.subject, s.seq)
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
