package replay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tillstream/events"
)

// Parked is one message that a worker set aside.
type Parked struct {
	Sequence           uint64    `json:"sequence"` // in PARKED, which is how it is named
	Stored             time.Time `json:"stored"`
	events.EventParked `json:"parked"`
}

// Origin names the message that was parked, such as "ORDERS/17".
func (p Parked) Origin() string { return fmt.Sprintf("%s/%d", p.Stream, p.EventParked.Sequence) }

// Type is the type of the event that was parked, "" when it had none.
func (p Parked) Type() string {
	if values := p.Headers[events.HeaderType]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// AllParked returns what stands in PARKED, oldest first.
func (r *Reader) AllParked(ctx context.Context) ([]Parked, error) {
	var parked []Parked
	err := r.EachParked(ctx, 0, func(p Parked) { parked = append(parked, p) })
	return parked, err
}

// EachParked calls fn for what stands in PARKED up to a sequence (0: what is there now), oldest first.
func (r *Reader) EachParked(ctx context.Context, to uint64, fn func(Parked)) error {
	return r.Each(ctx, Range{Stream: events.StreamParked, To: to}, func(m Message) error {
		if p, ok := readParked(m); ok {
			fn(p)
		}
		return nil
	})
}

// ParkedAt returns one by its sequence in PARKED, or [ErrNotFound].
func (r *Reader) ParkedAt(ctx context.Context, sequence uint64) (Parked, error) {
	m, err := r.Get(ctx, events.StreamParked, sequence)
	if err != nil {
		return Parked{}, err
	}
	p, ok := readParked(m)
	if !ok {
		return Parked{}, fmt.Errorf("%w: %s/%d is no parked event", ErrNotFound, events.StreamParked, sequence)
	}
	return p, nil
}

// readParked reads a message of PARKED. What is not one of ours was published there by hand; it is shown as a message
// of PARKED that nobody parked, so that it is seen at all.
func readParked(m Message) (Parked, bool) {
	p := Parked{Sequence: m.Sequence, Stored: m.Stored}
	e, err := m.Event()
	if err != nil {
		p.EventParked = events.EventParked{Worker: "(nobody)", Stream: m.Stream, Sequence: m.Sequence, Subject: m.Subject,
			Headers: m.Header, Data: m.Data, Error: err.Error(), Fingerprint: "unreadable"}
		return p, true
	}
	fact, ok := e.Payload.(events.EventParked)
	p.EventParked = fact
	return p, ok
}

// Cause is what several parked messages have in common.
type Cause struct {
	Fingerprint string    `json:"fingerprint"`
	Worker      string    `json:"worker"`
	Count       int       `json:"count"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Example     uint64    `json:"example"` // sequence in PARKED of the newest
	Error       string    `json:"error"`   // of the newest
}

// Causes counts parked messages by fingerprint, most frequent first.
func Causes(parked []Parked) []Cause {
	byPrint := map[string]*Cause{}
	for _, p := range parked {
		c, ok := byPrint[p.Fingerprint]
		if !ok {
			c = &Cause{Fingerprint: p.Fingerprint, Worker: p.Worker, First: p.Stored}
			byPrint[p.Fingerprint] = c
		}
		c.Count++
		c.Last, c.Example, c.Error = p.Stored, p.Sequence, p.Error
	}
	causes := make([]Cause, 0, len(byPrint))
	for _, c := range byPrint {
		causes = append(causes, *c)
	}
	slices.SortFunc(causes, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return causes
}
