package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"tillstream/events"
)

// EntityPage is a part of the history of one entity.
type EntityPage struct {
	Messages []Message // consecutive messages of the entity, newest first
	Newest   uint64    // revision of the newest message of the entity, which is the number of its events
	Older    uint64    // what to pass as before to read the page that follows; 0 when this one has the first event
}

// EntityPage returns the newest messages of the entity on a literal subject, at most limit of them, or those with a revision below
// before, if that is not 0. It finds the page by a search in the revisions, so a late page of a long history is read as fast as the
// first. It returns [ErrNotFound] when the log has nothing on the subject.
func (r *Reader) EntityPage(ctx context.Context, subject string, before uint64, limit int) (page EntityPage, err error) {
	newest, err := r.Newest(ctx, subject)
	if err != nil {
		return page, err
	}
	page.Newest = revisionOf(newest)
	if before == 0 || before > page.Newest+1 {
		before = page.Newest + 1
	}
	first := max(before, uint64(limit)+1) - uint64(limit)
	from, err := r.atRevision(ctx, subject, first, newest.Sequence)
	if err != nil {
		return page, err
	}
	err = r.Each(ctx, Range{From: from, To: newest.Sequence, Subjects: []string{subject}}, func(m Message) error {
		if revisionOf(m) >= before {
			return errEnd
		}
		page.Messages = append(page.Messages, m)
		return nil
	})
	if err != nil && !errors.Is(err, errEnd) {
		return page, err
	}
	slices.Reverse(page.Messages)
	if first > 1 {
		page.Older = first
	}
	return page, nil
}

// atRevision returns the sequence from which on the messages of an entity have a revision, or a greater one. Revisions grow with the
// sequence, so it halves the range that ends with the newest message of the entity.
func (r *Reader) atRevision(ctx context.Context, subject string, revision, newest uint64) (uint64, error) {
	low, high := uint64(1), newest
	for revision > 1 && low < high {
		middle := low + (high-low)/2
		raw, err := r.reads.GetMsg(ctx, middle, jetstream.WithGetMsgSubject(subject))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			high = middle
		case err != nil:
			return 0, fmt.Errorf("read %s from %d on: %w", subject, middle, err)
		case revisionOf(Message{Header: raw.Header}) >= revision:
			high = middle
		default:
			low = raw.Sequence + 1
		}
	}
	if revision <= 1 {
		return low, nil
	}
	return high, nil
}

// revisionOf returns the revision of a message, 0 for one that is not an event.
func revisionOf(m Message) uint64 {
	revision, err := strconv.ParseUint(m.Header.Get(events.HeaderRevision), 10, 64)
	if err != nil {
		return 0
	}
	return revision
}
