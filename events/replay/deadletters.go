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
	"tillstream/events/worker"
)

// State is the state of a dead letter.
type State string

// States of a dead letter. [events.DeadLettered] describes the transitions.
const (
	StateOpen      State = "open"      // it waits for an operator
	StateRedriven  State = "redriven"  // its lane has handled the event
	StateDiscarded State = "discarded" // an operator has settled it in another way
)

// DeadLetter is an event that a lane cannot handle.
type DeadLetter struct {
	Number              uint64               `json:"number"` // sequence of its first message in DEADLETTERS, which identifies it
	Stored              time.Time            `json:"stored"` // when it was first opened
	State               State                `json:"state"`
	Changed             time.Time            `json:"changed"`          // when it reached this state
	By                  string               `json:"by,omitempty"`     // the actor who discarded it
	Reason              string               `json:"reason,omitempty"` // for discarding it
	events.DeadLettered `json:"dead_letter"` // the newest failure

	letter Message // the first
	last   uint64  // sequence of the newest message in DEADLETTERS
}

// LastDeadLetter returns the sequence of the last message in DEADLETTERS, 0 when there is none.
func (r *Reader) LastDeadLetter(ctx context.Context) (uint64, error) {
	stream, err := r.js.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return 0, fmt.Errorf("read state of stream %s: %w", events.StreamDeadLetters, err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// letterFold has the dead letters up to a sequence of DEADLETTERS.
type letterFold struct {
	all   []DeadLetter   // oldest first
	index map[string]int // by subject
	read  uint64
}

// add applies a message of DEADLETTERS.
func (f *letterFold) add(m Message) {
	if f.index == nil {
		f.index = map[string]int{}
	}
	f.read = m.Sequence
	i, known := f.index[m.Subject]
	switch _, answer := replayed(m); {
	case !known && answer:
		return
	case !known:
		i = len(f.all)
		f.index[m.Subject] = i
		f.all = append(f.all, DeadLetter{Number: m.Sequence, Stored: m.Stored, letter: m})
	}
	f.all[i].apply(m)
}

// DeadLetters returns all dead letters, oldest first, in their state at a sequence of DEADLETTERS, or in their current state when it
// is 0. The reader keeps the current states, so that a page reads only new messages.
func (r *Reader) DeadLetters(ctx context.Context, to uint64) ([]DeadLetter, error) {
	if to > 0 {
		return r.lettersWhere(ctx, to, func(Message) bool { return true })
	}
	last, err := r.LastDeadLetter(ctx)
	if err != nil {
		return nil, err
	}
	r.lettersMu.Lock()
	defer r.lettersMu.Unlock()
	if last < r.letters.read { // the stream was replaced by a restore
		r.letters = letterFold{}
	}
	if last > r.letters.read {
		err = r.eachLetterMessage(ctx, Range{From: r.letters.read + 1, To: last}, func(m Message) {
			if m.Sequence > r.letters.read { // otherwise delivered again after the connection broke
				r.letters.add(m)
			}
		})
	}
	return slices.Clone(r.letters.all), err
}

// DeadLettersAt returns the dead letters in their state at a time. DEADLETTERS has sequences of its own, so a time is what it has in
// common with the log.
func (r *Reader) DeadLettersAt(ctx context.Context, at time.Time) ([]DeadLetter, error) {
	return r.lettersWhere(ctx, 0, func(m Message) bool { return !storedTime(m).After(at) })
}

func (r *Reader) lettersWhere(ctx context.Context, to uint64, counts func(Message) bool) ([]DeadLetter, error) {
	var fold letterFold
	err := r.eachLetterMessage(ctx, Range{To: to}, func(m Message) {
		if counts(m) {
			fold.add(m)
		}
	})
	return fold.all, err
}

// replayed returns the outcome of a batch of a replay, if a message of DEADLETTERS is one. Lanes append it there because a worker
// may not append under the subjects of operators.
func replayed(m Message) (events.Replayed, bool) {
	if m.Header.Get(events.HeaderType) != (events.Replayed{}).EventType() {
		return events.Replayed{}, false
	}
	e, err := m.Event()
	p, ok := e.Payload.(events.Replayed)
	return p, err == nil && ok && m.Subject == worker.DeadLetterSubject(p.Worker, p.Request)
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

// apply updates a dead letter by one of its messages. A message that no lane has written becomes an open dead letter of the lane
// "(none)", so that operators see it.
func (d *DeadLetter) apply(m Message) {
	d.last, d.Changed = m.Sequence, m.Stored
	e, err := m.Event()
	switch fact := e.Payload.(type) {
	case events.DeadLettered:
		if len(fact.Runs) == 0 {
			fact.Runs = d.Runs // a lane of an older release does not know the field
		}
		d.State, d.DeadLettered, d.By, d.Reason = StateOpen, fact, "", ""
	case events.DeadLetterRedriven:
		d.State, d.Attempt, d.Redelivery = StateRedriven, fact.Attempt, fact.Redelivery
	case events.DeadLetterDiscarded:
		d.State, d.By, d.Reason = StateDiscarded, e.Actor, fact.Reason
	default:
		err = cmp.Or(err, errors.New("not a dead letter"))
	}
	if err != nil {
		d.State = StateOpen
		d.DeadLettered = events.DeadLettered{Worker: "(none)", Subject: m.Subject, Error: err.Error(), Fingerprint: "unreadable"}
	}
}

// FollowDeadLetters calls fn for the messages of DEADLETTERS in a range and for new ones, until ctx ends or fn returns an error.
func (r *Reader) FollowDeadLetters(ctx context.Context, part Range, fn func(Message) error) error {
	return r.consume(ctx, events.StreamDeadLetters, ordered(part), 0, fn)
}

// DeadLetterAt returns the dead letter with a number and all its messages, oldest first, or [ErrNotFound].
func (r *Reader) DeadLetterAt(ctx context.Context, number uint64) (d DeadLetter, history []Message, err error) {
	object := fmt.Sprintf("dead letter %d", number)
	first, err := r.getLetter(ctx, number, object)
	if err != nil {
		return d, nil, err
	}
	if _, answer := replayed(first); answer {
		return d, nil, fmt.Errorf("%w: %s is the outcome of a replay, not a dead letter", ErrNotFound, object)
	}
	err = r.eachLetterMessage(ctx, Range{Subjects: []string{first.Subject}}, func(m Message) {
		if history = append(history, m); d.Number == 0 {
			d = DeadLetter{Number: m.Sequence, Stored: m.Stored, letter: m}
		}
		d.apply(m)
	})
	if err == nil && d.Number != number { // the number of a later message of a dead letter
		return DeadLetter{}, nil, fmt.Errorf("%w: %s", ErrNotFound, object)
	}
	return d, history, err
}

// getLetter returns the message at a sequence of DEADLETTERS, or [ErrNotFound] for an object.
func (r *Reader) getLetter(ctx context.Context, sequence uint64, object string) (Message, error) {
	stream, err := r.js.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return Message{}, fmt.Errorf("read %s: %w", object, err)
	}
	var raw *jetstream.RawStreamMsg
	if err = jetstream.ErrMsgNotFound; sequence > 0 { // the broker rejects a request for 0
		raw, err = stream.GetMsg(ctx, sequence)
	}
	return r.message(raw, err, object)
}

// Original returns the event of a dead letter from the log, or [ErrNotFound]. For a message that no lane has written it returns that
// message itself.
func (r *Reader) Original(ctx context.Context, d DeadLetter) (Message, error) {
	if d.Sequence == 0 {
		return d.letter, nil
	}
	return r.Get(ctx, d.Sequence)
}

// Cause is the common cause of several dead letters.
type Cause struct {
	Fingerprint string    `json:"fingerprint"`
	Lane        string    `json:"lane"`
	Count       int       `json:"count"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Example     uint64    `json:"example"` // number of the newest one
	Error       string    `json:"error"`   // of the newest one
}

// Causes counts dead letters by fingerprint, the most frequent first.
func Causes(letters []DeadLetter) []Cause {
	byFingerprint := map[string]*Cause{}
	for _, d := range letters {
		c, ok := byFingerprint[d.Fingerprint]
		if !ok {
			c = &Cause{Fingerprint: d.Fingerprint, Lane: d.Worker, First: d.Stored}
			byFingerprint[d.Fingerprint] = c
		}
		c.Count++
		c.Last, c.Example, c.Error = d.Stored, d.Number, d.Error
	}
	causes := make([]Cause, 0, len(byFingerprint))
	for _, c := range byFingerprint {
		causes = append(causes, *c)
	}
	slices.SortFunc(causes, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return causes
}
