package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tillstream/events"
)

// Entry is one line of a timeline.
type Entry struct {
	Number      int            `json:"number"`          // from 1, in causal order
	Cause       int            `json:"cause,omitempty"` // number of the entry that caused it; 0 when that is none of these
	After       time.Duration  `json:"-"`               // since the first entry, by the broker's clock
	AfterMillis int64          `json:"after_ms"`        // the same
	Stored      time.Time      `json:"stored"`
	Stream      string         `json:"stream"`
	Sequence    uint64         `json:"sequence"`
	Subject     string         `json:"subject"`
	Type        string         `json:"type"`
	Summary     string         `json:"summary"`
	EventID     string         `json:"event_id"`
	CausationID string         `json:"causation_id,omitempty"`
	Source      string         `json:"source"`
	Payload     events.Payload `json:"payload,omitempty"`
}

// History is everything that the log says about one order.
type History struct {
	OrderID string  `json:"order_id"`
	Entries []Entry `json:"entries"`
}

// Timeline gathers everything about an order from all streams: its own events, its reservation with the stock that moved,
// its payment with Stripe's webhooks, the mails, the timers, and what was parked. Causes stand before their effects. It
// returns [ErrNotFound] when there is no such order, or events.ErrBadID.
func (r *Reader) Timeline(ctx context.Context, orderID string) (History, error) {
	if err := events.CheckID(orderID); err != nil {
		return History{}, err
	}
	own, err := r.own(ctx, orderID)
	if err != nil {
		return History{}, err
	}
	if len(own) == 0 {
		return History{}, fmt.Errorf("%w: order %s", ErrNotFound, orderID)
	}
	related, err := r.related(ctx, orderID, own)
	if err != nil {
		return History{}, err
	}
	return arrange(orderID, append(own, related...)), nil
}

// own reads the subjects that are the order's alone.
func (r *Reader) own(ctx context.Context, orderID string) ([]Message, error) {
	parts := []Range{
		{Stream: events.StreamOrders, Subjects: []string{events.PrefixOrder + orderID}},
		{Stream: events.StreamInventory, Subjects: []string{events.PrefixReservation + orderID}},
		{Stream: events.StreamPayments, Subjects: []string{events.PrefixPayment + orderID}},
		{Stream: events.StreamNotifications, Subjects: []string{events.PrefixNotification + orderID}},
	}
	return r.collect(ctx, parts, func(Message) bool { return true })
}

// related finds the order in subjects that it shares with others, reading as little of them as can be.
func (r *Reader) related(ctx context.Context, orderID string, own []Message) ([]Message, error) {
	id := quoted(orderID)
	shared := append(stockRanges(own),
		Range{Stream: events.StreamTimers, Since: own[0].Stored.Add(-time.Minute)},
		Range{Stream: events.StreamParked})
	if first, ok := firstIn(own, events.StreamPayments); ok {
		// A webhook can come days later, so there is no end to look until.
		shared = append(shared, Range{Stream: events.StreamPayments, Subjects: []string{events.SubjectWebhooks}, From: first})
	}
	intent := intentOf(own)
	return r.collect(ctx, shared, func(m Message) bool {
		return m.Header.Get(events.HeaderCorrelationID) == orderID || bytes.Contains(m.Data, id) ||
			strings.HasSuffix(m.Subject, "."+orderID) || (intent != nil && bytes.Contains(m.Data, intent)) || parkedAbout(m, orderID)
	})
}

// quoted is an id as JSON writes it: what is searched for in bodies that are not worth decoding.
func quoted(id string) []byte { return []byte(`"` + id + `"`) }

// batch is the most messages that one transaction of the log appends (events/log, MaxBatch).
const batch = 1000

// stockRanges are the parts of INVENTORY in which the order's ledger entries stand. A reservation and its ledger
// entries are appended in one atomic batch, so they are at most a batch apart: a SKU that was sold a million times
// need not be read from its beginning.
func stockRanges(own []Message) []Range {
	var ranges []Range
	for _, m := range own {
		if m.Stream != events.StreamInventory {
			continue
		}
		from := max(m.Sequence, batch+1) - batch
		if n := len(ranges); n > 0 && from <= ranges[n-1].To {
			from = ranges[n-1].To + 1
		}
		if to := m.Sequence + batch; from <= to {
			ranges = append(ranges, Range{Stream: events.StreamInventory, Subjects: []string{events.PrefixStock + "*"}, From: from, To: to})
		}
	}
	return ranges
}

func firstIn(messages []Message, stream string) (uint64, bool) {
	for _, m := range messages {
		if m.Stream == stream {
			return m.Sequence, true
		}
	}
	return 0, false
}

// intentOf returns the order's PaymentIntent id: some of Stripe's objects name that and not our order.
func intentOf(own []Message) []byte {
	for _, m := range own {
		if e, err := m.Event(); err == nil {
			if created, ok := e.Payload.(events.PaymentIntentCreated); ok && created.PaymentIntent != "" {
				return quoted(created.PaymentIntent)
			}
		}
	}
	return nil
}

// parkedAbout looks into what was parked: its body is encoded, so a search for the id does not see it.
func parkedAbout(m Message, orderID string) bool {
	if m.Stream != events.StreamParked {
		return false
	}
	p, ok := readParked(m)
	return ok && (strings.HasSuffix(p.Subject, "."+orderID) || bytes.Contains(p.Data, quoted(orderID)))
}

// collect reads several ranges at once and keeps what is wanted, range by range.
func (r *Reader) collect(ctx context.Context, parts []Range, wanted func(Message) bool) ([]Message, error) {
	found := make([][]Message, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	for i, part := range parts {
		group.Go(func() error {
			return r.Each(ctx, part, func(m Message) error {
				if wanted(m) {
					found[i] = append(found[i], m)
				}
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var all []Message
	for _, messages := range found {
		all = append(all, messages...)
	}
	return all, nil
}

// FindOrder returns the id of the order that a customer calls by this number, or [ErrNotFound]. It reads all orders: it
// is for when the database, which has an index, is away or behind.
func (r *Reader) FindOrder(ctx context.Context, number string) (string, error) {
	id, written := "", quoted(strings.ToUpper(number))
	err := r.Each(ctx, Range{Stream: events.StreamOrders}, func(m Message) error {
		if !bytes.Contains(m.Data, written) {
			return nil
		}
		if e, err := m.Event(); err == nil {
			if placed, ok := e.Payload.(events.OrderPlaced); ok && strings.EqualFold(placed.Number, number) {
				id = placed.OrderID
				return errFound
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, errFound):
		return id, nil
	case err != nil:
		return "", err
	}
	return "", fmt.Errorf("%w: order number %s", ErrNotFound, number)
}

// errFound ends a reading early.
var errFound = errors.New("found")
