package replay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// Moment is a moment in the life of the shop. A sequence is exact: it is a consistent state of the whole shop. A time names the last
// event that was stored at or before it.
type Moment struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
}

// ParseMoment reads a moment as operators type it: a sequence, an RFC 3339 time, a date (its beginning) with or without a time of
// day in the time zone of now, "yesterday 14:05", "now", or a time before now such as "2h ago", -1d or -1d12h. It returns
// [ErrBadMoment].
func ParseMoment(text string, now time.Time) (Moment, error) {
	text = strings.TrimSpace(text)
	if sequence, err := strconv.ParseUint(text, 10, 64); err == nil && sequence > 0 {
		return Moment{Sequence: sequence}, nil
	}
	at, ok := parseTime(text, now)
	if !ok {
		return Moment{}, fmt.Errorf("%w %q", ErrBadMoment, text)
	}
	return Moment{Time: at}, nil
}

// FindMoment reads a moment as [ParseMoment] does and finds it in the log as [Reader.At] does. It returns [ErrBadMoment] for a time
// after now, too.
func (r *Reader) FindMoment(ctx context.Context, text string, now time.Time) (Moment, error) {
	moment, err := ParseMoment(text, now)
	if err != nil {
		return moment, err
	}
	if moment.Time.After(now) {
		return moment, fmt.Errorf("%w %q, which is in the future", ErrBadMoment, text)
	}
	return r.At(ctx, moment)
}

// At returns a moment with both its sequence and the time at which the event there was stored. It returns [ErrNotFound] for a moment
// before the first event or after the end of the log.
func (r *Reader) At(ctx context.Context, m Moment) (Moment, error) {
	last, err := r.Last(ctx)
	if err != nil {
		return Moment{}, err
	}
	switch {
	case last == 0:
		return Moment{}, fmt.Errorf("%w: it has no events yet", ErrNotFound)
	case m.Sequence > last:
		return Moment{}, fmt.Errorf("%w: sequence %d; the last one is %d", ErrNotFound, m.Sequence, last)
	case m.Sequence == 0:
		m.Sequence, err = r.before(ctx, m.Time, last)
	}
	if err != nil {
		return Moment{}, err
	}
	sequence, stored, err := r.storedFrom(ctx, m.Sequence)
	if errors.Is(err, ErrNotFound) || err == nil && sequence > m.Sequence {
		return Moment{}, fmt.Errorf("%w: sequence %d: the log is damaged, see ops repair", ErrNotFound, m.Sequence)
	}
	return Moment{Sequence: m.Sequence, Time: stored}, err
}

// before returns the last sequence that was stored at or before a time. A repair or a restore stores events again, so the times of
// the events are compared where they differ from the broker's.
func (r *Reader) before(ctx context.Context, at time.Time, last uint64) (uint64, error) {
	low, high := uint64(0), last // the answer is within (low, high] or 0
	for low < high {
		middle := high - (high-low)/2
		sequence, stored, err := r.storedFrom(ctx, middle)
		switch {
		case errors.Is(err, ErrNotFound):
			high = middle - 1
		case err != nil:
			return 0, err
		case stored.After(at) || sequence > high:
			high = middle - 1
		default:
			low = sequence
		}
	}
	if low > 0 {
		return low, nil
	}
	_, first, err := r.storedFrom(ctx, 1)
	if err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("%w: %s; the log begins at %s", ErrNotFound, at.Format(time.RFC3339), first.In(at.Location()).Format(time.RFC3339))
}

// storedFrom returns the first sequence at or after one at which the log has a message, and when that was stored.
func (r *Reader) storedFrom(ctx context.Context, from uint64) (sequence uint64, stored time.Time, err error) {
	raw, err := r.reads.GetMsg(ctx, from, jetstream.WithGetMsgSubject(">"))
	m, err := r.message(raw, err, fmt.Sprintf("sequence %d", from))
	if err != nil {
		return 0, time.Time{}, err
	}
	return m.Sequence, storedTime(m), nil
}

// storedTime returns when the shop stored a message.
func storedTime(m Message) time.Time {
	e, _ := m.Event() // zero where it cannot be read
	return storedAt(streamMessage{Message: m}, e)
}

// EndOfCommit returns the moment at which everything is stored that was appended together with the event at a moment, in one atomic
// batch. Between the two, the shop has a state that no process of it ever saw.
func (r *Reader) EndOfCommit(ctx context.Context, m Moment) (Moment, error) {
	before, err := r.Get(ctx, m.Sequence)
	for err == nil {
		var next Message
		next, err = r.Get(ctx, before.Sequence+1)
		if err != nil || !together(before, next) {
			break
		}
		before = next
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Moment{}, err
	}
	return Moment{Sequence: max(before.Sequence, m.Sequence), Time: later(m.Time, storedTime(before))}, nil
}

// together reports whether two neighbouring messages were appended in one batch. A repair or a restore appends them one by one; then
// equal times of the events about one order show it.
func together(a, b Message) bool {
	same := func(header string) bool {
		value := a.Header.Get(header)
		return value != "" && value == b.Header.Get(header)
	}
	return same("Nats-Batch-Id") || same(events.HeaderTime) && same(events.HeaderCorrelationID)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
