package view

import (
	"context"
	"fmt"

	"tillstream/events"
	"tillstream/events/log"
)

// CheckHistory compares the newest thing in the view's archive with the log. It returns [log.ErrWentBack] when the log
// does not know it, or has another event in its place: an older copy of the broker's store was put back, and whoever
// appended now would give away sequences a second time. Any other error says that it could not look.
func (r *Rememberer) CheckHistory(ctx context.Context) error {
	head, err := ReadArchiveHead(ctx, r.config.DB.Collection(r.view.Archive), r.view.Stream)
	if err != nil {
		return err
	}
	if head.Cut != nil {
		return fmt.Errorf("%w: a repair of %s was cut off", log.ErrWentBack, r.view.Archive)
	}
	if head.Last == 0 {
		return nil
	}
	last, err := r.log.End(ctx, r.view.Stream, head.Last)
	if err != nil {
		return err
	}
	if last < head.Last {
		return fmt.Errorf("%w: stream %s ends at %d, its archive knows events up to %d", log.ErrWentBack, r.view.Stream, last, head.Last)
	}
	stream, err := r.log.Stream(r.view.Stream)
	if err != nil {
		return err
	}
	message, err := stream.GetMsg(ctx, head.Last)
	if err != nil {
		return fmt.Errorf("read %s/%d: %w", r.view.Stream, head.Last, err)
	}
	if message.Header.Get(events.HeaderID) != head.EventID {
		return fmt.Errorf("%w: at %s/%d stands another event than the one that was archived from there, %s", log.ErrWentBack,
			r.view.Stream, head.Last, head.EventID)
	}
	return nil
}
