package replay

import (
	"context"
	"errors"
	"fmt"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// ErrReadable is returned by [Reader.DeclareVoid] for an event that this release can read.
var ErrReadable = errors.New("it can be read: correct it by another event")

// Voidable is an event that staff may declare void, so that every process skips it.
type Voidable struct {
	Message  Message
	Readable bool   // this release can read it
	Already  bool   // it is void
	Letter   uint64 // number of its own open dead letter; 0 without one
}

// Voidable returns what is known about an event before it is declared void.
func (r *Reader) Voidable(ctx context.Context, sequence uint64) (v Voidable, err error) {
	if v.Message, err = r.Get(ctx, sequence); err != nil {
		return v, err
	}
	e, unreadable := v.Message.Event()
	v.Readable = unreadable == nil && events.CheckTopology(e, events.Topology) == nil
	v.Already = v.Message.Voided()
	letters, err := r.DeadLetters(ctx, 0)
	for _, d := range letters {
		if d.Sequence == sequence && d.Messages() == 1 && d.State == StateOpen {
			v.Letter = d.Number
		}
	}
	return v, err
}

// Check returns [ErrReadable] for an event that can be read, unless force is set, and nil for one that is void already.
func (v Voidable) Check(force bool) error {
	if v.Readable && !v.Already && !force {
		return fmt.Errorf("void event %d: it is %s on %s; %w", v.Message.Sequence, v.Message.Type(), v.Message.Subject, ErrReadable)
	}
	return nil
}

// DeclareVoid declares an event void, and reports whether it was void already. A void cannot be undone.
func (r *Reader) DeclareVoid(ctx context.Context, v Voidable, force bool, author events.Author) (already bool, err error) {
	if err := v.Check(force); err != nil {
		return false, err
	}
	return eventlog.Void(ctx, r.log, v.Message, author)
}
