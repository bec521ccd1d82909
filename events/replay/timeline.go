package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Entry is one line of a timeline.
type Entry struct {
	Number      int            `json:"number"`          // from 1, in causal order
	Cause       int            `json:"cause,omitempty"` // number of the entry that caused it; 0 when that is none of these
	After       time.Duration  `json:"-"`               // since the first entry, by the broker's clock
	AfterMillis int64          `json:"after_ms"`        // the same
	Stored      time.Time      `json:"stored"`
	Stream      string         `json:"stream"` // SHOP, or DEADLETTERS
	Sequence    uint64         `json:"sequence"`
	Subject     string         `json:"subject"`
	Type        string         `json:"type"`
	Summary     string         `json:"summary"`
	EventID     string         `json:"event_id"`
	CausationID string         `json:"causation_id,omitempty"`
	Source      string         `json:"source"`
	Actor       string         `json:"actor"` // who brought it about
	Payload     events.Payload `json:"payload,omitempty"`
}

// History is everything that the log says about one order.
type History struct {
	OrderID string  `json:"order_id"`
	Entries []Entry `json:"entries"`
}

// Timeline gathers everything about an order: its own events, its reservation with the stock that moved, its payment with
// Stripe's webhooks, the mails, and the dead letters. Causes stand before their effects. It returns [ErrNotFound] when there
// is no such order, or events.ErrBadID.
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
	shared, err := r.shared(ctx, orderID, own)
	if err != nil {
		return History{}, err
	}
	messages := append(own, shared...)
	letters, err := r.lettersAbout(ctx, orderID, messages)
	if err != nil {
		return History{}, err
	}
	return arrange(orderID, messages, letters), nil
}

// ownSubjects are the subjects of the entities that are one order's.
func ownSubjects(orderID string) (subjects []string, err error) {
	for _, entity := range []struct{ prefix, id string }{{events.PrefixOrder, orderID}, {events.PrefixReservation, orderID},
		{events.PrefixPayment, events.FirstPaymentID(orderID)}, {events.PrefixNotification, orderID}} {
		subject, err := events.Subject(entity.prefix, entity.id)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, subject)
	}
	return subjects, nil
}

// own reads the subjects that are the order's alone.
func (r *Reader) own(ctx context.Context, orderID string) ([]Message, error) {
	subjects, err := ownSubjects(orderID)
	if err != nil {
		return nil, err
	}
	parts := make([]Range, len(subjects))
	for i, subject := range subjects {
		parts[i] = Range{Subjects: []string{subject}}
	}
	return r.collect(ctx, parts, func(Message) bool { return true })
}

// shared finds the order in subjects that it shares with others, reading as little of them as can be.
func (r *Reader) shared(ctx context.Context, orderID string, own []Message) ([]Message, error) {
	parts := stockRanges(own)
	if first, ok := firstUnder(events.PrefixPayment, own); ok {
		// A webhook can come days later, so there is no end to look until.
		parts = append(parts, Range{Subjects: []string{events.SubjectWebhooks}, From: first})
	}
	id, intent := quoted(orderID), intentOf(own)
	return r.collect(ctx, parts, func(m Message) bool {
		if m.Subject != events.SubjectWebhooks && !strings.HasPrefix(m.Subject, events.PrefixStock) {
			return false
		}
		return m.Header.Get(events.HeaderCorrelationID) == orderID || bytes.Contains(m.Data, id) || intent != nil && bytes.Contains(m.Data, intent)
	})
}

// quoted is an id as JSON writes it: what is searched for in bodies that are not worth decoding.
func quoted(id string) []byte { return []byte(`"` + id + `"`) }

// stockRanges are the parts of the log in which the order's ledger entries stand. A reservation and its ledger entries are
// appended in one atomic batch, so they are at most a batch apart: a SKU that was sold a million times need not be read
// from its beginning.
func stockRanges(own []Message) []Range {
	var ranges []Range
	for _, m := range own {
		if !strings.HasPrefix(m.Subject, events.PrefixReservation) {
			continue
		}
		from := max(m.Sequence, eventlog.MaxBatch+1) - eventlog.MaxBatch
		if n := len(ranges); n > 0 && from <= ranges[n-1].To {
			from = ranges[n-1].To + 1
		}
		if to := m.Sequence + eventlog.MaxBatch; from <= to {
			ranges = append(ranges, Range{From: from, To: to})
		}
	}
	return ranges
}

// firstUnder returns the sequence of the first message whose subject has a prefix.
func firstUnder(prefix string, messages []Message) (uint64, bool) {
	for _, m := range messages {
		if strings.HasPrefix(m.Subject, prefix) {
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

// lettersAbout returns what stands in DEADLETTERS about one of the messages, or about the order.
func (r *Reader) lettersAbout(ctx context.Context, orderID string, messages []Message) (letters []Message, err error) {
	concerned := make(map[uint64]bool, len(messages))
	for _, m := range messages {
		concerned[m.Sequence] = true
	}
	subjects := map[string]bool{}
	err = r.eachLetterMessage(ctx, Range{}, func(m Message) {
		var d DeadLetter
		d.take(m)
		if subjects[m.Subject] || concerned[d.Sequence] || m.Header.Get(events.HeaderCorrelationID) == orderID || strings.HasSuffix(d.Subject, "."+orderID) {
			letters, subjects[m.Subject] = append(letters, m), true
		}
	})
	return letters, err
}

// collect reads several ranges at once and keeps what is wanted, range by range.
func (r *Reader) collect(ctx context.Context, parts []Range, wanted func(Message) bool) ([]Message, error) {
	kept := make([][]Message, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	for i, part := range parts {
		group.Go(func() error {
			return r.Each(ctx, part, func(m Message) error {
				if wanted(m) {
					kept[i] = append(kept[i], m)
				}
				return nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(kept...), nil
}

// FindOrder returns the id of the order that a customer calls by this number, or [ErrNotFound]. It reads all orders: it
// is for when the database, which has an index, is away or behind.
func (r *Reader) FindOrder(ctx context.Context, number string) (string, error) {
	id, written := "", quoted(strings.ToUpper(number))
	err := r.Each(ctx, Range{Subjects: []string{events.PrefixOrder + "*"}}, func(m Message) error {
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
