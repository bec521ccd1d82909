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

// State is how a dead letter stands.
type State string

// The states of a dead letter. See [events.DeadLettered] for what leads from one to the other.
const (
	StateOpen      State = "open"      // its event waits for operators
	StateRedriven  State = "redriven"  // its lane has handled the event after all
	StateDiscarded State = "discarded" // operators have settled it in another way
)

// DeadLetter is an event that a lane could not handle, and what became of that.
type DeadLetter struct {
	Number              uint64               `json:"number"` // sequence in DEADLETTERS of its first message, by which it is named
	Stored              time.Time            `json:"stored"` // when it was opened first
	State               State                `json:"state"`
	Changed             time.Time            `json:"changed"`          // when that came about
	By                  string               `json:"by,omitempty"`     // who discarded it
	Reason              string               `json:"reason,omitempty"` // why
	events.DeadLettered `json:"dead_letter"` // the newest failure

	letter Message // the first
	last   uint64  // sequence of the newest message in DEADLETTERS
}

// LastDeadLetter returns the sequence of the newest message in DEADLETTERS, 0 when there never was one.
func (r *Reader) LastDeadLetter(ctx context.Context) (uint64, error) {
	stream, err := r.js.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return 0, fmt.Errorf("look at stream %s: %w", events.StreamDeadLetters, err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// DeadLetters returns all dead letters as they stood at a sequence of DEADLETTERS (0: as they stand now), oldest first.
func (r *Reader) DeadLetters(ctx context.Context, to uint64) (all []DeadLetter, err error) {
	place := map[string]int{} // by subject
	err = r.eachLetterMessage(ctx, Range{To: to}, func(m Message) {
		i, known := place[m.Subject]
		if !known {
			i = len(all)
			place[m.Subject] = i
			all = append(all, DeadLetter{Number: m.Sequence, Stored: m.Stored, letter: m})
		}
		all[i].take(m)
	})
	return all, err
}

// eachLetterMessage calls fn for the messages of DEADLETTERS in a range, oldest first.
func (r *Reader) eachLetterMessage(ctx context.Context, part Range, fn func(Message)) error {
	if part.To == 0 {
		last, err := r.LastDeadLetter(ctx)
		if err != nil || last == 0 {
			return err
		}
		part.To = last
	}
	return r.consume(ctx, events.StreamDeadLetters, ordered(part), part.To, func(m Message) error {
		fn(m)
		return nil
	})
}

// take takes over what a message says about its dead letter. What no lane wrote is shown as an open dead letter of lane
// "(nobody)", so that it is seen at all.
func (d *DeadLetter) take(m Message) {
	d.last, d.Changed = m.Sequence, m.Stored
	e, err := m.Event()
	switch fact := e.Payload.(type) {
	case events.DeadLettered:
		d.State, d.DeadLettered = StateOpen, fact
	case events.DeadLetterRedriven:
		d.State, d.Attempt, d.Redelivery = StateRedriven, fact.Attempt, fact.Redelivery
	case events.DeadLetterDiscarded:
		d.State, d.By, d.Reason = StateDiscarded, e.Actor, fact.Reason
	default:
		err = cmp.Or(err, errors.New("it is no dead letter"))
	}
	if err != nil {
		d.State = StateOpen
		d.DeadLettered = events.DeadLettered{Worker: "(nobody)", Subject: m.Subject, Error: err.Error(), Fingerprint: "unreadable"}
	}
}

// FollowDeadLetters calls fn for the messages of DEADLETTERS of a range and for those that come, until ctx ends or fn fails.
func (r *Reader) FollowDeadLetters(ctx context.Context, part Range, fn func(Message) error) error {
	return r.consume(ctx, events.StreamDeadLetters, ordered(part), 0, fn)
}

// DeadLetterAt returns a dead letter by its number, with all that stands about it, oldest first, or [ErrNotFound].
func (r *Reader) DeadLetterAt(ctx context.Context, number uint64) (d DeadLetter, history []Message, err error) {
	what := fmt.Sprintf("dead letter %d", number)
	stream, err := r.js.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return d, nil, fmt.Errorf("read %s: %w", what, err)
	}
	var raw *jetstream.RawStreamMsg
	if err = jetstream.ErrMsgNotFound; number > 0 { // the broker takes 0 for no question at all
		raw, err = stream.GetMsg(ctx, number)
	}
	first, err := r.message(raw, err, what)
	if err != nil {
		return d, nil, err
	}
	err = r.eachLetterMessage(ctx, Range{Subjects: []string{first.Subject}}, func(m Message) {
		if history = append(history, m); d.Number == 0 {
			d = DeadLetter{Number: m.Sequence, Stored: m.Stored, letter: m}
		}
		d.take(m)
	})
	if err == nil && d.Number != number { // it says what became of one
		return DeadLetter{}, nil, fmt.Errorf("%w: %s", ErrNotFound, what)
	}
	return d, history, err
}

// Original returns the event that a dead letter points to, as it stands in the log, or [ErrNotFound]. What was published
// among the dead letters by hand points to nothing, and is returned itself.
func (r *Reader) Original(ctx context.Context, d DeadLetter) (Message, error) {
	if d.Sequence == 0 {
		return d.letter, nil
	}
	return r.Get(ctx, d.Sequence)
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
