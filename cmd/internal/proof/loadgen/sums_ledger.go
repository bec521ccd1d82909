package loadgen

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// ledger sums what left the shelves for the orders of a run.
type ledger struct {
	sum     Sum
	prices  map[string]events.Money
	waiting map[string]int // lines of each order that are not booked yet
	told    Told
	booked  int // lines
	lines   int // of all orders
}

// SumLedger says what the stock ledger in the log says was sold for these orders (id to number of lines) after a sequence
// of the log. It waits until every line is booked, or ctx ends; then it sums what is there.
func SumLedger(ctx context.Context, log *replay.Reader, after uint64, orders map[string]int, prices map[string]events.Money, told Told) (Sum, error) {
	l := ledger{sum: Sum{Source: "stock ledger", Units: map[string]int64{}}, prices: prices, waiting: map[string]int{}, told: told}
	for id, lines := range orders {
		l.waiting[id] = lines
		l.lines += lines
	}
	for final := false; ; {
		end, err := log.Last(context.WithoutCancel(ctx))
		if err != nil {
			return l.sum, fmt.Errorf("read the stock ledger: %w", err)
		}
		// The reading outlasts the waiting, as with the orders collection.
		err = log.Each(context.WithoutCancel(ctx), replay.Range{Subjects: []string{events.PrefixStock + "*"}, From: after + 1, To: end}, l.book)
		if err != nil {
			return l.sum, fmt.Errorf("read the stock ledger: %w", err)
		}
		if final {
			return l.sold(orders), nil
		}
		after = end
		// One more look after the last awaited line: one that is booked twice must be seen.
		final = l.complete() || pause(ctx, 500*time.Millisecond) != nil
	}
}

func (l *ledger) book(m replay.Message) error {
	e, err := m.Event()
	if errors.Is(err, events.ErrNotAnEvent) || errors.Is(err, events.ErrUnknownType) {
		return nil // published there by hand: it books nothing
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
	l.booked++
	l.told("reading the stock ledger", l.booked, l.lines)
	l.sum.add(sold.SKU, sold.Quantity)
	return l.sum.sell(l.prices[sold.SKU], sold.Quantity)
}

func (l *ledger) complete() bool {
	for _, lines := range l.waiting {
		if lines > 0 {
			return false
		}
	}
	return true
}

// sold counts the orders of which anything was booked.
func (l *ledger) sold(orders map[string]int) Sum {
	for id, lines := range orders {
		if l.waiting[id] < lines {
			l.sum.Orders++
		}
	}
	return l.sum
}
