package invariants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/events"
	"tillstream/events/replay"
)

// How suspects are read again. With more than maxReread suspects the shop is wrong for certain, and the rest are findings
// without being read again.
const (
	rereadBatch = 200 // orders in one request
	rereadEvery = 500 * time.Millisecond
	maxReread   = 5000 // orders
)

// checkOrders applies the rules to every order. Orders that look wrong are suspects: their events are read again until they
// look right, have not moved for the settling time, or patience ends.
func (c *checker) checkOrders(ctx context.Context) error {
	suspects := c.judgeAll()
	if err := c.findMissing(ctx); err != nil {
		return err
	}
	again := min(len(suspects), maxReread)
	if c.past() {
		again = 0 // their later events do not count
	}
	suspects, rest := suspects[:again], suspects[again:]
	c.enter("orders again", uint64(len(suspects)))
	for deadline := time.Now().Add(c.Patience); len(suspects) > 0; {
		fresh, err := c.reread(ctx, suspects)
		if err != nil {
			return err
		}
		late := time.Now().After(deadline)
		if suspects = c.judgeAgain(fresh, suspects, late); len(suspects) == 0 {
			break
		}
		if err := wait(ctx, rereadEvery); err != nil {
			return err
		}
	}
	for _, id := range rest {
		c.accept(c.ledger.orders[id], c.judge(id, c.ledger.orders[id]))
	}
	c.report.Counts.Orders = len(c.ledger.orders)
	orders := output.Count(len(c.ledger.orders), "order")
	c.scopes[OrdersEnd] = fmt.Sprintf("%s, %s on the way", orders, output.Number(c.report.Counts.Progressing))
	c.scopes[CapturedOnce] = orders
	c.scopes[MoneyForGoods] = orders + ", " + output.Count(len(c.report.OpenItems), "open item")
	return nil
}

// judgeAll accepts the orders that look right and returns the others.
func (c *checker) judgeAll() (suspects []string) {
	for id, o := range c.ledger.orders {
		if v := c.judge(id, o); len(v.findings) > 0 {
			suspects = append(suspects, id)
		} else {
			c.accept(o, v)
		}
	}
	slices.Sort(suspects)
	return suspects
}

// findMissing finds the acknowledged orders that are not in the log. An order that was placed after the log was read is looked
// up in the log.
func (c *checker) findMissing(ctx context.Context) error {
	for _, id := range c.Acknowledged {
		if o, ok := c.ledger.orders[id]; ok && o.status != unknown {
			continue
		}
		subject, err := events.Subject(events.PrefixOrder, id)
		if err != nil {
			return fmt.Errorf("acknowledged order: %w", err)
		}
		_, err = c.Log.Newest(ctx, subject)
		if errors.Is(err, replay.ErrNotFound) {
			c.ledger.find(OrdersEnd, "order "+id, "was answered 201 and is not in the log")
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) judge(id string, o *order) verdict { return judge(id, o, c.Now(), c.Settle) }

// accept takes a verdict as final. An order that moved within the settling time is on its way, and only its firm findings
// count.
func (c *checker) accept(o *order, v verdict) {
	recent := c.recent(o)
	if v.progressing || (recent && len(v.findings) > 0) {
		c.report.Counts.Progressing++
	}
	if !recent {
		c.report.Findings = append(c.report.Findings, v.findings...)
	}
	c.report.Findings = append(c.report.Findings, v.firm...)
	c.report.OpenItems = append(c.report.OpenItems, v.open...)
	c.report.Counts.ByStatus[o.status.String()]++
}

// judgeAgain returns the suspects that still look wrong and have moved recently, and accepts the others. With late it accepts
// all.
func (c *checker) judgeAgain(fresh *ledger, suspects []string, late bool) (still []string) {
	for _, id := range suspects {
		o, ok := fresh.orders[id]
		if !ok {
			o = c.ledger.orders[id] // it has only mails, which are not read again
		}
		o.queued = c.ledger.orders[id].queued
		c.ledger.orders[id] = o
		v := c.judge(id, o)
		if len(v.findings) > 0 && c.recent(o) && !late {
			still = append(still, id)
			continue
		}
		c.accept(o, v)
		c.done.Add(1)
	}
	return still
}

// reread folds the present events of some orders into a ledger of their own.
func (c *checker) reread(ctx context.Context, ids []string) (*ledger, error) {
	fresh := newLedger()
	for chunk := range slices.Chunk(ids, rereadBatch) {
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

// subjectsOf returns the subjects of the orders themselves, their reservations and their payments.
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

// recent reports whether an order has moved within the settling time, so that it may be on its way.
func (c *checker) recent(o *order) bool { return c.Now().Sub(o.moved) < c.Settle }

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
