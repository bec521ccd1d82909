package replay

import (
	"context"
	"fmt"
	"slices"

	"tillstream/events"
	"tillstream/events/worker"
)

// Events returns the messages that a redrive of a dead letter hands to its lane: the event, or of several messages those that
// can be read now. When none can, it returns the first.
func (r *Reader) Events(ctx context.Context, d DeadLetter) ([]Message, error) {
	if d.Messages() > 1 {
		if readable, _, err := r.read(ctx, d); err != nil || len(readable) > 0 {
			return readable, err
		}
	}
	m, err := r.Original(ctx, d)
	return []Message{m}, err
}

// read reads the messages of a dead letter about several. It returns those that can be read now, and the dead letter about the
// others.
func (r *Reader) read(ctx context.Context, d DeadLetter) (readable []Message, left events.DeadLettered, err error) {
	left = d.DeadLettered
	left.Runs = nil
	part := Range{From: d.Runs[0].From, To: d.Runs[len(d.Runs)-1].To}
	err = r.Each(ctx, part, func(m Message) error {
		if !slices.ContainsFunc(d.Runs, func(run events.Run) bool { return run.From <= m.Sequence && m.Sequence <= run.To }) {
			return nil
		}
		_, unreadable := (&worker.Item{Message: m}).Event()
		switch {
		case unreadable == nil:
			readable = append(readable, m)
			return nil
		case left.Runs == nil:
			left.Sequence, left.Subject, left.Error = m.Sequence, m.Subject, unreadable.Error()
		}
		left.Runs = events.AddToRuns(left.Runs, m.Sequence)
		return nil
	})
	if n := events.CountRuns(left.Runs); n > 1 {
		left.Error = fmt.Sprintf("%d messages cannot be read; the first: %s", n, left.Error)
	}
	return readable, left, err
}

// split opens a dead letter for each message that can be read now, where a dead letter is about several messages: a lane redrives
// single events. It returns all dead letters to redrive, and those about the messages that still cannot be read.
func (r *Reader) split(ctx context.Context, letters []DeadLetter, author events.Author) (all []DeadLetter, err error) {
	changed := map[string]bool{} // subjects
	for _, d := range letters {
		if d.Messages() == 1 {
			all = append(all, d)
			continue
		}
		subjects, err := r.splitOne(ctx, d, author)
		if err != nil {
			return nil, fmt.Errorf("split dead letter %d: %w", d.Number, err)
		}
		for _, subject := range subjects {
			changed[subject] = true
		}
	}
	if len(changed) == 0 {
		return all, nil
	}
	now, err := r.DeadLetters(ctx, 0)
	if err != nil {
		return nil, err
	}
	return append(all, slices.DeleteFunc(now, func(d DeadLetter) bool { return !changed[d.letter.Subject] || d.State != StateOpen })...), nil
}

// splitOne splits one dead letter and returns the subjects of all that its messages have now. The subject of the dead letter is
// that of its first message, so when that one can be read, the others must have another dead letter first.
func (r *Reader) splitOne(ctx context.Context, d DeadLetter, author events.Author) (subjects []string, err error) {
	readable, left, err := r.read(ctx, d)
	if err != nil || len(readable) == 0 {
		return []string{d.letter.Subject}, err
	}
	put := func(dead events.DeadLettered, cause Message) {
		subject, last := worker.DeadLetterSubject(d.Worker, dead.Sequence), uint64(0)
		if dead.Sequence == d.Sequence {
			last = d.last
		}
		subjects = append(subjects, subject)
		if err == nil {
			err = r.appendTo(ctx, subject, cause, dead, last, author)
		}
		if worker.IsSequenceConflict(err) && last == 0 {
			err = nil // an interrupted redrive has opened it
		}
	}
	for _, m := range readable {
		if m.Sequence != d.Sequence {
			put(ownOf(d, m), m)
		}
	}
	if len(left.Runs) > 0 {
		put(left, d.letter)
	}
	if readable[0].Sequence == d.Sequence {
		put(ownOf(d, readable[0]), readable[0])
	}
	return subjects, err
}

// ownOf returns the dead letter of one message of a dead letter about several.
func ownOf(d DeadLetter, m Message) events.DeadLettered {
	e, _ := m.Event()
	own := d.DeadLettered
	own.Sequence, own.Subject, own.Type, own.EventID = m.Sequence, m.Subject, e.Type, e.ID
	own.Runs = []events.Run{{From: m.Sequence, To: m.Sequence}}
	own.Error = fmt.Sprintf("it could not be read when dead letter %d was opened", d.Number)
	return own
}
