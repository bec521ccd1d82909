package invariants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// How suspicious orders are looked at again: this many in one reading, this often, and no more than this many in all,
// because a shop with ten thousand wrong orders needs no second look to be wrong.
const (
	againAtOnce = 200
	againEvery  = 500 * time.Millisecond
	againAtMost = 5000
)

// judgeOrders applies the rules to every order. Those that look wrong are read again, alone and up to date, until they
// look right, or have stood still for the settling time, or patience ends.
func (c *checker) judgeOrders(ctx context.Context) error {
	suspects, err := c.judgeAll(ctx)
	if err != nil {
		return err
	}
	suspects, rest := suspects[:min(len(suspects), againAtMost)], suspects[min(len(suspects), againAtMost):]
	c.enter("orders again", uint64(len(suspects)))
	for deadline := time.Now().Add(c.Patience); len(suspects) > 0; {
		fresh, err := c.readAgain(ctx, suspects)
		if err != nil {
			return err
		}
		late := time.Now().After(deadline)
		if suspects = c.judgeAgain(fresh, suspects, late); len(suspects) == 0 {
			break
		}
		if err := wait(ctx, againEvery); err != nil {
			return err
		}
	}
	for _, id := range rest {
		c.accept(c.ledger.orders[id], c.judge(id, c.ledger.orders[id]))
	}
	c.report.Counts.Orders = len(c.ledger.orders)
	c.scopes[OrdersEnd] = fmt.Sprintf("%d orders, %d on their way", c.report.Counts.Orders, c.report.Counts.Progressing)
	c.scopes[CapturedOnce] = c.scopes[OrdersEnd]
	c.scopes[MoneyForGoods] = fmt.Sprintf("%d orders, %d open items", c.report.Counts.Orders, len(c.report.OpenItems))
	return nil
}

// judgeAll accepts what is fine at first sight and returns the others, with the acknowledged ones that were not seen.
func (c *checker) judgeAll(ctx context.Context) (suspects []string, err error) {
	for id, o := range c.ledger.orders {
		if v := c.judge(id, o); len(v.findings) > 0 {
			suspects = append(suspects, id)
		} else {
			c.accept(o, v)
		}
	}
	slices.Sort(suspects)
	for _, id := range c.Acknowledged {
		if o, ok := c.ledger.orders[id]; ok && o.status != unknown {
			continue
		}
		subject, err := events.Subject(events.PrefixOrder, id)
		if err != nil {
			return nil, fmt.Errorf("acknowledged order: %w", err)
		}
		_, err = c.Log.Newest(ctx, subject)
		if errors.Is(err, replay.ErrNotFound) {
			c.ledger.find(OrdersEnd, "order "+id, "was answered 201 and is not in the log")
		} else if err != nil {
			return nil, err
		}
	}
	return suspects, nil
}

func (c *checker) judge(id string, o *order) verdict { return judge(id, o, c.Now(), c.Settle) }

// accept takes a verdict as the last word. Findings about an order that moved within the settling time are none yet.
func (c *checker) accept(o *order, v verdict) {
	young := c.young(o)
	if v.progressing || (young && len(v.findings) > 0) {
		c.report.Counts.Progressing++
	}
	if !young {
		c.report.Findings = append(c.report.Findings, v.findings...)
	}
	c.report.Findings = append(c.report.Findings, v.firm...)
	c.report.OpenItems = append(c.report.OpenItems, v.open...)
	c.report.Counts.ByStatus[o.status.String()]++
}

// judgeAgain returns which orders still look wrong and are young enough to come right; late ends the waiting.
func (c *checker) judgeAgain(fresh *ledger, suspects []string, late bool) (still []string) {
	for _, id := range suspects {
		o, ok := fresh.orders[id]
		if !ok {
			o = c.ledger.orders[id] // mails alone are about it, and those are not read again
		}
		o.queued = c.ledger.orders[id].queued
		c.ledger.orders[id] = o
		v := c.judge(id, o)
		if len(v.findings) > 0 && c.young(o) && !late {
			still = append(still, id)
			continue
		}
		c.accept(o, v)
		c.done.Add(1)
	}
	return still
}

// readAgain folds the newest events of some orders into a ledger of their own.
func (c *checker) readAgain(ctx context.Context, ids []string) (*ledger, error) {
	fresh := newLedger()
	for chunk := range slices.Chunk(ids, againAtOnce) {
		subjects, err := subjectsOf(chunk)
		if err != nil {
			return nil, err
		}
		err = c.Log.Each(ctx, replay.Range{Subjects: subjects}, func(m replay.Message) error {
			fresh.add(m)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return fresh, nil
}

// subjectsOf are the subjects on which the facts about some orders stand.
func subjectsOf(ids []string) (subjects []string, err error) {
	for _, id := range ids {
		for prefix, entity := range map[string]string{events.PrefixOrder: id, events.PrefixReservation: id, events.PrefixPayment: events.FirstPaymentID(id)} {
			subject, err := events.Subject(prefix, entity)
			if err != nil {
				return nil, err
			}
			subjects = append(subjects, subject)
		}
	}
	return subjects, nil
}

// young reports whether an order has moved so lately that it may be on its way.
func (c *checker) young(o *order) bool { return c.Now().Sub(o.moved) < c.Settle }

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
