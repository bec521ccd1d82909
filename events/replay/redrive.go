package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/worker"
)

// Selection says which dead letters are meant. Exactly one of its fields is set.
type Selection struct {
	All         bool
	Fingerprint string   // every open one with this cause
	Numbers     []uint64 // these, which must be open
}

// OpenDeadLetters returns the open dead letters that a selection means, oldest first. Where it names what is not there it
// returns [ErrNotFound], and [ErrSettled] where it names one that is not open any more. None are open: no error with All.
func (r *Reader) OpenDeadLetters(ctx context.Context, s Selection) ([]DeadLetter, error) {
	all, err := r.DeadLetters(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, number := range s.Numbers {
		i := slices.IndexFunc(all, func(d DeadLetter) bool { return d.Number == number })
		if i < 0 {
			return nil, fmt.Errorf("%w: no dead letter has the number %d; ops deadletters list --state all lists those that there are", ErrNotFound, number)
		}
		if err := all[i].settled(); err != nil {
			return nil, err
		}
	}
	open := slices.DeleteFunc(all, func(d DeadLetter) bool {
		return d.State != StateOpen || !s.All && d.Fingerprint != s.Fingerprint && !slices.Contains(s.Numbers, d.Number)
	})
	if len(open) == 0 && s.Fingerprint != "" {
		return nil, fmt.Errorf("%w: no open dead letter has the cause %q; ops deadletters list counts them by cause", ErrNotFound, s.Fingerprint)
	}
	return open, nil
}

// settled returns [ErrSettled] for a dead letter that is not open.
func (d DeadLetter) settled() error {
	when := d.Changed.UTC().Format(time.RFC3339)
	switch d.State {
	case StateRedriven:
		return fmt.Errorf("%w: dead letter %d was redriven at %s", ErrSettled, d.Number, when)
	case StateDiscarded:
		return fmt.Errorf("%w: dead letter %d was discarded by %s at %s: %s", ErrSettled, d.Number, d.By, when, d.Reason)
	}
	return nil
}

// Redrive is a request that dead letters be handled again, in the log.
type Redrive struct {
	ID       string
	Letters  []DeadLetter
	requests map[string]map[uint64]uint64 // lane → sequence of the event → of the request
	from     uint64                       // in DEADLETTERS, where their outcomes begin
}

// Redrive asks the lanes of dead letters to handle their events again. The request is in the log when it returns; the process that
// runs a lane carries it out, at once or when there is one. What was written by no lane is refused, and then nothing is asked for.
func (r *Reader) Redrive(ctx context.Context, letters []DeadLetter, reason string) (Redrive, error) {
	if err := checkReason(reason); err != nil {
		return Redrive{}, err
	}
	sequences := map[string][]uint64{}
	for _, d := range letters {
		if d.Sequence == 0 {
			return Redrive{}, fmt.Errorf("dead letter %d was written by no lane: no event can be handled again; ops deadletters discard settles it", d.Number)
		}
		sequences[d.Worker] = append(sequences[d.Worker], d.Sequence)
	}
	last, err := r.LastDeadLetter(ctx)
	if err != nil {
		return Redrive{}, err
	}
	id := uuid.Must(uuid.NewV7()).String()
	requests, err := worker.Redeliver(ctx, r.log, id, reason, sequences)
	if err != nil {
		return Redrive{}, fmt.Errorf("redrive %d dead letters: %w", len(letters), err)
	}
	return Redrive{ID: id, Letters: letters, requests: requests, from: last + 1}, nil
}

// checkReason: why something was done to a dead letter is all that the next person has to go by.
func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return errors.New("no reason is given: pass --reason with what was mended or settled")
	}
	return nil
}

// Await waits until every dead letter of a redrive has an outcome, or ctx ends, and returns the dead letters as they stand then.
// done is told how many have one. Those without are still open, and [Redrive.Waits] says so.
func (r *Reader) Await(ctx context.Context, redrive Redrive, done func(n int)) ([]DeadLetter, error) {
	place := map[string]int{}
	letters := slices.Clone(redrive.Letters)
	for i, d := range letters {
		place[d.letter.Subject] = i
	}
	settled := func() (n int) {
		for _, d := range letters {
			if !redrive.Waits(d) {
				n++
			}
		}
		return n
	}
	err := r.FollowDeadLetters(ctx, Range{From: redrive.from}, func(m Message) error {
		if i, ok := place[m.Subject]; ok {
			letters[i].take(m)
		}
		n := settled()
		if done(n); n == len(letters) {
			return errEnd
		}
		return nil
	})
	if errors.Is(err, errEnd) || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return letters, err
}

// Waits reports whether a dead letter, as it stands, has no outcome of the redrive yet.
func (v Redrive) Waits(d DeadLetter) bool {
	return d.State == StateOpen && d.Redelivery < v.requests[d.Worker][d.Sequence]
}

// Discard settles dead letters: no lane will handle their events. It returns how many it has settled. One that has changed
// since it was read is left as it is, and named in the error.
func (r *Reader) Discard(ctx context.Context, letters []DeadLetter, reason string) (n int, err error) {
	if err := checkReason(reason); err != nil {
		return 0, err
	}
	var problems []error
	for _, d := range letters {
		if err := r.discard(ctx, d, reason); err != nil {
			problems = append(problems, err)
			continue
		}
		n++
	}
	return n, errors.Join(problems...)
}

func (r *Reader) discard(ctx context.Context, d DeadLetter, reason string) error {
	e, _ := d.letter.Event() // as far as it can be read
	msg, err := events.Encode(events.Event{ID: uuid.Must(uuid.NewV7()).String(), Source: source, Actor: events.ActorOps, Time: r.log.Now().UTC(),
		Subject: d.letter.Subject, CorrelationID: e.CorrelationID, CausationID: e.ID,
		Payload: events.DeadLetterDiscarded{Worker: d.Worker, Sequence: d.Sequence, Reason: reason}})
	if err != nil {
		return fmt.Errorf("discard dead letter %d: %w", d.Number, err)
	}
	_, err = r.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(d.last))
	if worker.IsSequenceConflict(err) {
		return fmt.Errorf("discard dead letter %d: it has changed meanwhile; ops deadletters show %d says how it stands", d.Number, d.Number)
	}
	if err != nil {
		return fmt.Errorf("discard dead letter %d: %w", d.Number, err)
	}
	return nil
}
