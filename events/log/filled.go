package log

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// maxFilled is how many messages of gaps a process keeps in memory. A log that lacks more needs a repair before it is used.
const maxFilled = 100_000

// errTooManyMissing is returned by FillGap for more than maxFilled messages.
var errTooManyMissing = fmt.Errorf("the log lacks more than %d messages", maxFilled)

// filled holds the messages that the log lacks and the archive has. Entities are read as if the log had them, so that a damaged
// event neither hides an order nor lets an older state be decided on. `ops repair` writes them into the log again.
type filled struct {
	mu         sync.RWMutex
	messages   map[uint64]*jetstream.RawStreamMsg   // by sequence
	onSubject  map[string][]*jetstream.RawStreamMsg // in order
	storedLast map[string]uint64                    // by subject, the last message in the log before the last one here; 0 for none
	gaps       []GapError
}

// FillGap gives the log the messages of a gap, which the archive has. messages are all of the gap, in order. A gap that was
// filled before is not changed. It returns [ErrUnavailable] when the broker cannot be read.
func (l *Log) FillGap(ctx context.Context, gap GapError, messages []Message) error {
	f := &l.filled
	if f.has(gap) {
		return nil
	}
	if f.count()+len(messages) > maxFilled {
		return errTooManyMissing
	}
	storedLast := map[string]uint64{}
	for _, m := range messages {
		last, err := l.storedBefore(ctx, m.Subject, m.Sequence)
		if err != nil {
			return fmt.Errorf("read %s: %w", m.Subject, unavailable(ctx, err))
		}
		storedLast[m.Subject] = last
	}
	if !f.add(gap, messages, storedLast) {
		return nil // another reader was faster
	}
	for _, m := range messages {
		l.cache.drop(m.Subject)
		l.Observe(l.Adopt(m))
	}
	l.config.Logger.Error("gap in the log filled from the archive; run `ops repair`", "from", gap.From, "to", gap.To)
	return nil
}

// storedBefore returns the sequence of the last message of a subject in the log if it is before another one, otherwise 0: then
// an expectation of the other one is never used.
func (l *core) storedBefore(ctx context.Context, subject string, sequence uint64) (last uint64, err error) {
	err = l.Retry(ctx, func(ctx context.Context) error {
		msg, err := l.reads.GetLastMsgForSubject(ctx, subject)
		if isNotFound(err) {
			return nil
		}
		if err == nil && msg.Sequence < sequence {
			last = msg.Sequence
		}
		return err
	})
	return last, err
}

// add reports whether it has added a message.
func (f *filled) add(gap GapError, messages []Message, storedLast map[string]uint64) (added bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.messages == nil {
		f.messages, f.onSubject, f.storedLast = map[uint64]*jetstream.RawStreamMsg{}, map[string][]*jetstream.RawStreamMsg{}, map[string]uint64{}
	}
	for _, m := range messages {
		if f.messages[m.Sequence] != nil {
			gap.From = max(gap.From, m.Sequence+1)
			continue
		}
		added = true
		raw := &jetstream.RawStreamMsg{Subject: m.Subject, Sequence: m.Sequence, Header: m.Header, Data: m.Data, Time: m.Stored}
		f.messages[m.Sequence] = raw
		same := append(slices.Clone(f.onSubject[m.Subject]), raw) // readers use the old one
		slices.SortFunc(same, bySequence)
		f.onSubject[m.Subject] = same
		if same[len(same)-1] == raw {
			f.storedLast[m.Subject] = storedLast[m.Subject]
		}
	}
	if !added {
		return false
	}
	f.gaps = append(f.gaps, gap)
	slices.SortFunc(f.gaps, func(a, b GapError) int { return cmp.Compare(a.From, b.From) })
	return true
}

func bySequence(a, b *jetstream.RawStreamMsg) int { return cmp.Compare(a.Sequence, b.Sequence) }

func (f *filled) count() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.messages)
}

// has reports whether a gap is filled.
func (f *filled) has(gap GapError) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for sequence := gap.From; sequence <= gap.To; sequence++ {
		if f.messages[sequence] == nil {
			return false
		}
	}
	return true
}

// get returns the message at a sequence, nil if it is not filled.
func (f *filled) get(sequence uint64) *jetstream.RawStreamMsg {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.messages[sequence]
}

// Filled returns the message at a sequence, and whether it was missing and FillGap has given it to the log.
func (l *Log) Filled(sequence uint64) (m Message, ok bool) {
	raw := l.filled.get(sequence)
	if raw == nil {
		return Message{}, false
	}
	return l.messageFrom(raw), true
}

// IsFilled reports whether FillGap has given all messages of a gap to the log.
func (l *Log) IsFilled(gap GapError) bool { return l.filled.has(gap) }

// on returns the messages of a subject.
func (f *filled) on(subject string) []*jetstream.RawStreamMsg {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.onSubject[subject]
}

// last returns the later one of a subject's last message in the log, nil for none, and its last filled one.
func (f *filled) last(subject string, stored *jetstream.RawStreamMsg) *jetstream.RawStreamMsg {
	messages := f.on(subject)
	if len(messages) == 0 || stored != nil && stored.Sequence > messages[len(messages)-1].Sequence {
		return stored
	}
	return messages[len(messages)-1]
}

// expected returns the sequence that the broker expects for an append after an event of a subject: the broker does not know the
// events that it has lost.
func (f *filled) expected(subject string, after uint64) uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	messages := f.onSubject[subject]
	if len(messages) == 0 || messages[len(messages)-1].Sequence != after {
		return after
	}
	return f.storedLast[subject]
}

// nextEvent returns the first message of a subject at or after a sequence, filled ones included, or [jetstream.ErrMsgNotFound].
func (l *core) nextEvent(ctx context.Context, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	stored, err := l.nextOn(ctx, subject, from)
	found := err == nil
	if !found && !isNotFound(err) {
		return nil, err
	}
	for _, m := range l.filled.on(subject) {
		if m.Sequence >= from && (!found || m.Sequence < stored.Sequence) {
			return m, nil
		}
	}
	return stored, err
}

// newestFilled returns the filled messages that are the newest of their subject, of the subjects that match a filter, such as
// "a.>" or "a.*", in order.
func (l *core) newestFilled(ctx context.Context, filters []string) (newest []*jetstream.RawStreamMsg, err error) {
	for _, m := range l.filled.since(filters, time.Time{}) {
		last, err := l.lastMessage(ctx, m.Subject)
		if err != nil {
			return nil, err
		}
		if last == m {
			newest = append(newest, m)
		}
	}
	return newest, nil
}

// since returns the messages whose subject matches a filter and that were stored at a time or later, in order.
func (f *filled) since(filters []string, stored time.Time) (all []*jetstream.RawStreamMsg) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, m := range f.messages {
		matches := func(filter string) bool { return strings.HasPrefix(m.Subject, strings.TrimRight(filter, "*>")) }
		if !m.Time.Before(stored) && slices.ContainsFunc(filters, matches) {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, bySequence)
	return all
}

// Unrepaired returns [ErrNeedsRepair] with the sequences that the log lacks and that this process reads from the archive; nil
// when there are none.
func (l *core) Unrepaired() error {
	f := &l.filled
	f.mu.RLock()
	defer f.mu.RUnlock()
	if len(f.gaps) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s missing and read from the archive; run `ops repair`", ErrNeedsRepair, describe(f.gaps))
}

// maxDescribed is how many gaps a message names.
const maxDescribed = 10

// describe names gaps: "sequences 7, 12 to 14 are".
func describe(gaps []GapError) string {
	if len(gaps) == 1 && gaps[0].From == gaps[0].To {
		return fmt.Sprintf("sequence %d is", gaps[0].From)
	}
	var names []string
	for _, gap := range gaps[:min(len(gaps), maxDescribed)] {
		names = append(names, gap.sequences())
	}
	if more := len(gaps) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more gaps", more))
	}
	return "sequences " + strings.Join(names, ", ") + " are"
}

func (e *GapError) sequences() string {
	if e.From == e.To {
		return fmt.Sprint(e.From)
	}
	return fmt.Sprintf("%d to %d", e.From, e.To)
}
