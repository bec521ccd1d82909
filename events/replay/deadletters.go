package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// DeadLetter is an event that a lane could not handle.
type DeadLetter struct {
	Number              uint64    `json:"number"` // sequence in DEADLETTERS, by which it is named
	Stored              time.Time `json:"stored"`
	events.DeadLettered `json:"dead_letter"`

	letter Message
}

// LastDeadLetter returns the number of the newest dead letter, 0 when there never was one.
func (r *Reader) LastDeadLetter(ctx context.Context) (uint64, error) {
	stream, err := r.js.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return 0, fmt.Errorf("look at stream %s: %w", events.StreamDeadLetters, err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// DeadLetters returns all dead letters, oldest first.
func (r *Reader) DeadLetters(ctx context.Context) ([]DeadLetter, error) {
	var all []DeadLetter
	err := r.EachDeadLetter(ctx, 0, func(d DeadLetter) { all = append(all, d) })
	return all, err
}

// EachDeadLetter calls fn for the dead letters up to a number (0: those that are there now), oldest first.
func (r *Reader) EachDeadLetter(ctx context.Context, to uint64, fn func(DeadLetter)) error {
	if to == 0 {
		last, err := r.LastDeadLetter(ctx)
		if err != nil || last == 0 {
			return err
		}
		to = last
	}
	return r.consume(ctx, events.StreamDeadLetters, ordered(Range{}), to, func(m Message) error {
		fn(readDeadLetter(m))
		return nil
	})
}

// FollowDeadLetters calls fn for the dead letters of a range and for those that come, as they stand in DEADLETTERS, until
// ctx ends or fn fails.
func (r *Reader) FollowDeadLetters(ctx context.Context, part Range, fn func(Message) error) error {
	return r.consume(ctx, events.StreamDeadLetters, ordered(part), 0, fn)
}

// DeadLetterAt returns a dead letter by its number, or [ErrNotFound].
func (r *Reader) DeadLetterAt(ctx context.Context, number uint64) (DeadLetter, error) {
	what := fmt.Sprintf("dead letter %d", number)
	stream, err := r.js.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return DeadLetter{}, fmt.Errorf("read %s: %w", what, err)
	}
	var raw *jetstream.RawStreamMsg
	if err = jetstream.ErrMsgNotFound; number > 0 { // the broker takes 0 for no question at all
		raw, err = stream.GetMsg(ctx, number)
	}
	m, err := r.message(raw, err, what)
	if err != nil {
		return DeadLetter{}, err
	}
	return readDeadLetter(m), nil
}

// Original returns the event that a dead letter points to, as it stands in the log, or [ErrNotFound]. What was published
// among the dead letters by hand points to nothing, and is returned itself.
func (r *Reader) Original(ctx context.Context, d DeadLetter) (Message, error) {
	if d.Sequence == 0 {
		return d.letter, nil
	}
	return r.Get(ctx, d.Sequence)
}

// readDeadLetter reads a message of DEADLETTERS. What no lane wrote is shown as a dead letter of nobody, so that it is seen
// at all.
func readDeadLetter(m Message) DeadLetter {
	d := DeadLetter{Number: m.Sequence, Stored: m.Stored, letter: m}
	e, err := m.Event()
	fact, ok := e.Payload.(events.DeadLettered)
	if err == nil && !ok {
		err = errors.New("it is no dead letter")
	}
	if err != nil {
		fact = events.DeadLettered{Worker: "(nobody)", Subject: m.Subject, Error: err.Error(), Fingerprint: "unreadable"}
	}
	d.DeadLettered = fact
	return d
}

// Cause is what several dead letters have in common.
type Cause struct {
	Fingerprint string    `json:"fingerprint"`
	Lane        string    `json:"lane"`
	Count       int       `json:"count"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Example     uint64    `json:"example"` // number of the newest
	Error       string    `json:"error"`   // of the newest
}

// Causes counts dead letters by fingerprint, most frequent first.
func Causes(letters []DeadLetter) []Cause {
	byPrint := map[string]*Cause{}
	for _, d := range letters {
		c, ok := byPrint[d.Fingerprint]
		if !ok {
			c = &Cause{Fingerprint: d.Fingerprint, Lane: d.Worker, First: d.Stored}
			byPrint[d.Fingerprint] = c
		}
		c.Count++
		c.Last, c.Example, c.Error = d.Stored, d.Number, d.Error
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
