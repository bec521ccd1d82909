package replay

import (
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"tillstream/events"
)

// part is what a trail has read of one stream: every message from one sequence to another.
type part struct {
	stream   string
	from, to uint64       // both 0: nothing
	oldest   int64        // when a message that was read was stored, in nanoseconds; no later than any unread one before from
	entries  []trailEntry // in the order of the stream
}

// trailEntry is one action in memory, about 150 bytes. Its other fields are read when a page shows it.
type trailEntry struct {
	sequence uint64
	at       int64 // when it was stored, in nanoseconds
	stream   string
	actor    string
	kind     string
	subject  string
	order    string
}

// selects reports whether the filter selects an entry. The time since which is not compared.
func (f ActionFilter) selects(e trailEntry) bool {
	if !f.Until.IsZero() && e.at > f.Until.UnixNano() {
		return false
	}
	if f.Type != "" {
		if matched, err := path.Match(f.Type, e.kind); err != nil || !matched {
			return false
		}
	}
	return f.selectsActor(e.actor) && f.selectsEntity(e)
}

func (f ActionFilter) selectsActor(actor string) bool {
	_, name, _ := strings.Cut(actor, ":")
	return f.Actor == "" || f.Actor == actor || strings.EqualFold(f.Actor, name)
}

func (f ActionFilter) selectsEntity(e trailEntry) bool {
	if f.Entity == "" || f.Entity == e.subject || f.Entity == e.order {
		return true
	}
	subject, err := events.Subject(".", f.Entity)
	return err == nil && strings.HasSuffix(e.subject, subject)
}

// since returns the time since which in nanoseconds.
func (f ActionFilter) since() int64 {
	if f.Since.IsZero() {
		return math.MinInt64
	}
	return f.Since.UnixNano()
}

// batchRequested is the type of the events by which a replay advances. Staff requested the replay, not each batch.
var batchRequested = events.ReplayBatchRequested{}.EventType()

// window is the number of messages that a trail reads at a time, so that a page with enough recent actions reads few.
const window = 50_000

// catchUp reads the messages that were appended since the last read. The first read begins at the end of each stream.
func (t *Trail) catchUp(ctx context.Context) error {
	for _, p := range []*part{&t.shop, &t.letters} {
		last, err := t.reader.lastIn(ctx, p.stream)
		if err != nil {
			return err
		}
		switch {
		case p.to == 0:
			p.from, p.to, p.oldest = last+1, last, math.MaxInt64
		case last > p.to:
			newer, _, err := t.read(ctx, p.stream, p.to+1, last)
			if err != nil {
				return err
			}
			p.entries, p.to = append(p.entries, newer...), last
		}
	}
	return nil
}

// older reads a window before what was read. It reports false when there is none, or none since a time.
func (t *Trail) older(ctx context.Context, p *part, since time.Time) (bool, error) {
	if p.from <= 1 || !since.IsZero() && p.oldest < since.UnixNano() {
		return false, nil
	}
	from := uint64(1)
	if p.from > t.window {
		from = p.from - t.window
	}
	entries, oldest, err := t.read(ctx, p.stream, from, p.from-1)
	if err != nil {
		return false, err
	}
	p.entries, p.from, p.oldest = append(entries, p.entries...), from, min(p.oldest, oldest)
	if t.Progress != nil {
		t.Progress("read "+p.stream, p.to-p.from+1, p.to)
	}
	return true, nil
}

// read returns the actions between two sequences, and when the first message was stored. It reads headers only.
func (t *Trail) read(ctx context.Context, stream string, from, to uint64) (entries []trailEntry, oldest int64, err error) {
	config := ordered(Range{From: from})
	config.HeadersOnly = true
	oldest = math.MaxInt64
	last := from - 1
	err = t.reader.consume(ctx, stream, config, to, func(m Message) error {
		if m.Sequence <= last {
			return nil // delivered again after the connection broke
		}
		last, oldest = m.Sequence, min(oldest, m.Stored.UnixNano())
		actor, kind := m.Header.Get(events.HeaderActor), m.Header.Get(events.HeaderType)
		if events.IsStaff(actor) && kind != batchRequested {
			entries = append(entries, trailEntry{sequence: m.Sequence, at: m.Stored.UnixNano(), stream: stream, actor: t.name(actor),
				kind: t.name(kind), subject: strings.Clone(m.Subject), order: strings.Clone(m.Header.Get(events.HeaderCorrelationID))})
		}
		return nil
	})
	return slices.Clip(entries), oldest, err
}

// name returns the one copy of an actor or a type that the trail keeps.
func (t *Trail) name(s string) string {
	if known, ok := t.names[s]; ok {
		return known
	}
	s = strings.Clone(s)
	t.names[s] = s
	return s
}

// lastIn returns the sequence of the last message of a stream.
func (r *Reader) lastIn(ctx context.Context, stream string) (uint64, error) {
	if stream == events.StreamShop {
		return r.Last(ctx)
	}
	return r.LastDeadLetter(ctx)
}

// GetFrom returns the message at a sequence of a stream, or [ErrNotFound].
func (r *Reader) GetFrom(ctx context.Context, stream string, sequence uint64) (Message, error) {
	if stream == events.StreamShop {
		return r.Get(ctx, sequence)
	}
	return r.getLetter(ctx, sequence, fmt.Sprintf("sequence %d of %s", sequence, stream))
}
