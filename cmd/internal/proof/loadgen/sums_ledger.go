package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// ledger sums the committed stock of the orders of a run.
type ledger struct {
	sum       Sum
	prices    map[string]events.Money
	waiting   map[string]int // lines of each order that are not committed yet
	progress  ProgressFunc
	committed int // lines
	lines     int // of all orders
}

// SumLedger sums the stock ledger: the stock that was committed for these orders (number of lines by id) after a sequence of
// the log. It waits until every line is committed or ctx ends, and then returns the sum so far.
func SumLedger(ctx context.Context, log *replay.Reader, after uint64, orders map[string]int, prices map[string]events.Money, progress ProgressFunc) (Sum, error) {
	l := ledger{sum: Sum{Source: "stock ledger", Units: map[string]int64{}}, prices: prices, waiting: map[string]int{}, progress: progress}
	for id, lines := range orders {
		l.waiting[id] = lines
		l.lines += lines
	}
	for final := false; ; {
		end, err := log.Last(context.WithoutCancel(ctx))
		if err != nil {
			return l.sum, fmt.Errorf("read stock ledger: %w", err)
		}
		// When ctx ends, the log is still read, because the sum so far is needed.
		err = log.Each(context.WithoutCancel(ctx), replay.Range{Subjects: []string{events.PrefixStock + "*"}, From: after + 1, To: end}, l.add)
		if err != nil {
			return l.sum, fmt.Errorf("read stock ledger: %w", err)
		}
		if final {
			return l.sold(orders), nil
		}
		after = end
		// Read once more after the last line, so that a line that is committed twice is found.
		final = l.complete() || sleep(ctx, 500*time.Millisecond) != nil
	}
}

func (l *ledger) add(m replay.Message) error {
	e, err := m.Event()
	if errors.Is(err, events.ErrNotAnEvent) || errors.Is(err, events.ErrUnknownType) {
		return nil // published by hand: not part of the ledger
	}
	if err != nil {
		return fmt.Errorf("%s at %d: %w", m.Subject, m.Sequence, err)
	}
	sold, ok := e.Payload.(events.StockCommitted)
	if !ok {
		return nil
	}
	if _, ours := l.waiting[sold.OrderID]; !ours {
		return nil
	}
	l.waiting[sold.OrderID]--
	l.committed++
	l.progress("reading stock ledger", l.committed, l.lines)
	return l.sum.sell(sold.SKU, sold.Quantity, l.prices[sold.SKU])
}

func (l *ledger) complete() bool {
	for _, lines := range l.waiting {
		if lines > 0 {
			return false
		}
	}
	return true
}

// sold counts the orders with at least one committed line.
func (l *ledger) sold(orders map[string]int) Sum {
	for id, lines := range orders {
		if l.waiting[id] < lines {
			l.sum.Orders++
		}
	}
	return l.sum
}
