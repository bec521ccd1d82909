package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
	"tillstream/events/text"
	"tillstream/events/worker"
)

// Selection selects open dead letters. Exactly one of its fields is set.
type Selection struct {
	All         bool
	Fingerprint string   // all with this cause
	Numbers     []uint64 // exactly these
}

// OpenDeadLetters returns the selected dead letters, oldest first. It returns [ErrNotFound] when a selected number or fingerprint
// does not exist, and [ErrSettled] when a selected dead letter is no longer open. With All, it may return none.
func (r *Reader) OpenDeadLetters(ctx context.Context, s Selection) ([]DeadLetter, error) {
	all, err := r.DeadLetters(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, number := range s.Numbers {
		i := slices.IndexFunc(all, func(d DeadLetter) bool { return d.Number == number })
		if i < 0 {
			return nil, fmt.Errorf("%w: no dead letter has the number %d; ops deadletters list --state all lists all of them", ErrNotFound, number)
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

// Redrive is a request in the log to handle dead letters again.
type Redrive struct {
	ID       string
	Letters  []DeadLetter
	requests map[string]map[uint64]uint64 // lane → sequence of the event → of the request
	from     uint64                       // first sequence in DEADLETTERS at which outcomes can be
}

// Redrive requests that lanes handle dead letters again. When it returns, the request is in the log; the process that runs a lane
// executes it, now or when such a process starts. Redrive requests nothing when one of the letters was written by no lane. Of a
// dead letter about several messages it redrives those that can be read now, see [Reader.split].
func (r *Reader) Redrive(ctx context.Context, letters []DeadLetter, author events.Author) (Redrive, error) {
	author, err := checkReason(author)
	if err != nil {
		return Redrive{}, err
	}
	sequences := map[string][]uint64{}
	if i := slices.IndexFunc(letters, func(d DeadLetter) bool { return d.Sequence == 0 }); i >= 0 {
		return Redrive{}, fmt.Errorf("dead letter %d was written by no lane: there is no event to handle again; ops deadletters discard settles it", letters[i].Number)
	}
	letters, err = r.split(ctx, letters, author)
	if err != nil {
		return Redrive{}, err
	}
	for _, d := range letters {
		if d.Messages() == 1 {
			sequences[d.Worker] = append(sequences[d.Worker], d.Sequence)
		}
	}
	last, err := r.LastDeadLetter(ctx)
	if err != nil {
		return Redrive{}, err
	}
	id := uuid.Must(uuid.NewV7()).String()
	requests, err := worker.Redeliver(ctx, r.log, id, author, sequences)
	if err != nil {
		return Redrive{}, fmt.Errorf("redrive %d dead letters: %w", len(letters), err)
	}
	return Redrive{ID: id, Letters: letters, requests: requests, from: last + 1}, nil
}

// checkReason requires a reason, and returns it as it is stored: it is the only explanation that the next operator finds.
func checkReason(author events.Author) (_ events.Author, err error) {
	author.Reason, err = text.Clean(author.Reason)
	switch {
	case err != nil:
		return author, fmt.Errorf("reason: %w", err)
	case author.Reason == "":
		return author, errors.New("no reason given: pass --reason and say what was fixed or settled")
	case len(author.Reason) > events.MaxReason:
		return author, fmt.Errorf("reason: %d bytes, want at most %d", len(author.Reason), events.MaxReason)
	}
	return author, nil
}

// Await waits until every dead letter of a redrive has an outcome or ctx ends, and returns the dead letters in their current state.
// done is called with the number of outcomes so far. [Redrive.Waits] reports which dead letters have none.
func (r *Reader) Await(ctx context.Context, redrive Redrive, done func(n int)) ([]DeadLetter, error) {
	index := map[string]int{}
	letters := slices.Clone(redrive.Letters)
	for i, d := range letters {
		index[d.letter.Subject] = i
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
		if i, ok := index[m.Subject]; ok {
			letters[i].apply(m)
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

// Waits reports whether a dead letter still has no outcome of the redrive.
func (v Redrive) Waits(d DeadLetter) bool {
	return d.State == StateOpen && d.Redelivery < v.requests[d.Worker][d.Sequence]
}

// Discard settles dead letters: no lane will handle their events. It returns the number that it settled. It leaves a dead letter that
// has changed since it was read unchanged, and names it in the error.
func (r *Reader) Discard(ctx context.Context, letters []DeadLetter, author events.Author) (n int, err error) {
	author, err = checkReason(author)
	if err != nil {
		return 0, err
	}
	var problems []error
	for _, d := range letters {
		if err := r.discard(ctx, d, author); err != nil {
			problems = append(problems, err)
			continue
		}
		n++
	}
	return n, errors.Join(problems...)
}

func (r *Reader) discard(ctx context.Context, d DeadLetter, author events.Author) error {
	fact := events.DeadLetterDiscarded{Worker: d.Worker, Sequence: d.Sequence, Reason: author.Reason}
	err := r.appendTo(ctx, d.letter.Subject, d.letter, fact, d.last, author)
	if worker.IsSequenceConflict(err) {
		return fmt.Errorf("discard dead letter %d: it has changed since it was read; ops deadletters show %d prints its state", d.Number, d.Number)
	}
	if err != nil {
		return fmt.Errorf("discard dead letter %d: %w", d.Number, err)
	}
	return nil
}

// appendTo appends an event to a dead letter whose last message has the given sequence. cause is the message that led to it.
func (r *Reader) appendTo(ctx context.Context, subject string, cause Message, fact events.Payload, last uint64, author events.Author) error {
	e, _ := cause.Event() // zero where it cannot be read
	msg, err := events.Encode(events.Event{ID: uuid.Must(uuid.NewV7()).String(), Source: source, Actor: author.Actor, Reason: author.Reason, Via: author.Via, Time: r.log.Now().UTC(),
		Subject: subject, CorrelationID: e.CorrelationID, CausationID: e.ID, Payload: fact})
	if err != nil {
		return err
	}
	_, err = r.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(last))
	return err
}
