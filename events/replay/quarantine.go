package replay

import (
	"context"
	"errors"
	"fmt"

	"tillstream/events"
)

// An event that a lane was asked to handle again maxReplays times is in quarantine: a replay leaves it out, and so does a redrive of all
// dead letters or of one cause. Who repeats the same request again and again, a script perhaps, then repeats only what may still
// succeed. Staff who mean just this event name it: a replay with force, or the number of the dead letter.

// ErrQuarantined is returned by Redrivable when all dead letters of a selection are in quarantine.
var ErrQuarantined = errors.New("they were handled again too often")

// handling is an event and a lane that handles it.
type handling struct {
	lane     string
	sequence uint64
}

// quarantine counts how often each lane was asked to handle each event again.
type quarantine map[handling]int

// quarantine counts the requests in the log before a sequence, or all when it is 0. With force it counts none.
func (r *Reader) quarantine(ctx context.Context, force bool, before uint64) (quarantine, error) {
	counts := quarantine{}
	if force {
		return counts, nil
	}
	part := Range{Subjects: []string{events.PrefixReplay + "*"}}
	if before > 0 {
		part.To = before - 1
	}
	err := r.Each(ctx, part, func(m Message) error {
		e, err := m.Event()
		lane, sequences := "", []uint64(nil)
		switch p := e.Payload.(type) {
		case events.RedeliveryRequested:
			lane, sequences = p.Lane, p.Sequences
		case events.ReplayBatchRequested:
			lane, sequences = p.Lane, p.Sequences
		}
		for _, sequence := range sequences {
			counts[handling{lane, sequence}]++
		}
		return ignoreUnreadable(err)
	})
	return counts, err
}

// Redrivable returns the open dead letters of a selection, as [Reader.OpenDeadLetters] does, without those in quarantine, which it
// returns too. A selection by numbers, or with force, leaves none out. It also returns [ErrQuarantined].
func (r *Reader) Redrivable(ctx context.Context, s Selection, force bool) (letters, leftOut []DeadLetter, err error) {
	all, err := r.OpenDeadLetters(ctx, s)
	if err != nil || len(all) == 0 || len(s.Numbers) > 0 {
		return all, nil, err
	}
	counts, err := r.quarantine(ctx, force, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range all {
		if counts[handling{d.Worker, d.Sequence}] >= maxReplays {
			leftOut = append(leftOut, d)
		} else {
			letters = append(letters, d)
		}
	}
	if len(letters) == 0 {
		err = fmt.Errorf("%w: %d open dead letters, such as number %d; the lane was asked %d times. Find out why they stay open, then choose them by their numbers",
			ErrQuarantined, len(leftOut), leftOut[0].Number, maxReplays)
	}
	return letters, leftOut, err
}
