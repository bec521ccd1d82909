package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Entry is one event of a timeline.
type Entry struct {
	Number      int            `json:"number"`          // from 1, in causal order
	Cause       int            `json:"cause,omitempty"` // number of the entry that caused it; 0 when the cause is not in the timeline
	After       time.Duration  `json:"-"`               // since the first entry, by the clock of the broker
	AfterMillis int64          `json:"after_ms"`        // the same
	Stored      time.Time      `json:"stored"`          // by the broker; the time of the event where a repair or restore has written it again
	Stream      string         `json:"stream"`          // SHOP or DEADLETTERS
	Sequence    uint64         `json:"sequence"`
	Subject     string         `json:"subject"`
	Type        string         `json:"type"`
	Summary     string         `json:"summary"`
	EventID     string         `json:"event_id"`
	CausationID string         `json:"causation_id,omitempty"`
	Source      string         `json:"source"`
	Actor       string         `json:"actor"` // who caused it
	Payload     events.Payload `json:"payload,omitempty"`
}

// History has all events about one order, in causal order.
type History struct {
	OrderID string   `json:"order_id"`
	Entries []Entry  `json:"entries"`
	Missing []string `json:"missing,omitempty"` // events that the log lacks, as "SUBJECT: revision 1"; the archive may have them
}

// Timeline returns all events about an order: the order itself, its reservation and stock movements, its payment and the webhooks of
// Stripe, its mails, and its dead letters. A cause comes before its effects. It returns [ErrNotFound] when the order does not
// exist, or [events.ErrBadID].
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
	messages := slices.Concat(own, shared) // a new array, because arrange sorts it
	letters, err := r.lettersAbout(ctx, orderID, messages)
	if err != nil {
		return History{}, err
	}
	history := arrange(orderID, messages, letters)
	history.Missing = missingRevisions(own)
	return history, nil
}

// missingRevisions names the events that the log lacks, of entities whose other messages are given in order.
func missingRevisions(own []Message) (missing []string) {
	last := map[string]uint64{}
	for _, m := range own {
		revision, err := strconv.ParseUint(m.Header.Get(events.HeaderRevision), 10, 64)
		if err != nil {
			continue // a message without a number is not an event of the entity
		}
		for lost := last[m.Subject] + 1; lost < revision; lost++ {
			missing = append(missing, fmt.Sprintf("%s: revision %d", m.Subject, lost))
		}
		last[m.Subject] = revision
	}
	return missing
}

// ownSubjects returns the subjects of the entities that belong to one order.
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

// own reads the subjects that belong to the order alone.
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

// shared finds the events about the order on subjects that it shares with others. It reads only the ranges where they can be.
func (r *Reader) shared(ctx context.Context, orderID string, own []Message) ([]Message, error) {
	parts := stockRanges(own)
	if first, ok := firstUnder(events.PrefixPayment, own); ok {
		// A webhook can arrive days later, so the range has no end.
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

// quoted returns an id as it is written in JSON, to search bodies without decoding them.
func quoted(id string) []byte { return []byte(`"` + id + `"`) }

// stockRanges returns the ranges of the log that contain the stock movements of the order. A reservation and its stock movements are
// appended in one atomic batch, so they are at most one batch apart. Reading every event of a SKU would take much longer.
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

// intentOf returns the PaymentIntent of the order, which some objects of Stripe name instead of the order.
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

// lettersAbout returns the messages in DEADLETTERS about the order or about one of its messages.
func (r *Reader) lettersAbout(ctx context.Context, orderID string, messages []Message) (letters []Message, err error) {
	sequences := make(map[uint64]bool, len(messages))
	for _, m := range messages {
		sequences[m.Sequence] = true
	}
	subjects := map[string]bool{}
	err = r.eachLetterMessage(ctx, Range{}, func(m Message) {
		if _, answer := replayed(m); answer {
			return
		}
		var d DeadLetter
		d.apply(m)
		about := false
		for sequence := range sequences {
			about = about || d.About(sequence)
		}
		if about || subjects[m.Subject] || m.Header.Get(events.HeaderCorrelationID) == orderID || strings.HasSuffix(d.Subject, "."+orderID) {
			letters, subjects[m.Subject] = append(letters, m), true
		}
	})
	return letters, err
}

// collect reads several ranges concurrently and returns the wanted messages, range by range.
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

// FindOrder returns the id of the order with a number, or [ErrNotFound]. It reads the events of all orders and is meant for a time when
// the database, which has an index, is unavailable or lags.
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

// errFound ends a read early.
var errFound = errors.New("found")
