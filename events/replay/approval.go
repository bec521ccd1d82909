package replay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/text"
	"tillstream/events/worker"
)

// approvalWindow is the time in which the replays of one person count together: two halves of a large replay are a large replay.
const approvalWindow = time.Hour

// unapproved counts the events that somebody replayed recently without a second person.
func (s *Replays) unapproved(ctx context.Context, actor string) (sum int, err error) {
	all, err := s.List(ctx)
	if err != nil {
		return 0, err
	}
	since, same := s.reader.log.Now().Add(-approvalWindow), map[string]bool{}
	for _, r := range all {
		if r.Requested.NeedsApproval || !r.At.After(since) {
			continue
		}
		if _, known := same[r.By]; !known {
			if same[r.By], err = s.samePerson(ctx, r.By, actor); err != nil {
				return 0, err
			}
		}
		if same[r.By] {
			sum += r.Requested.Events
		}
	}
	return sum, nil
}

// Approve approves a replay that somebody else requested. It returns [worker.ErrOwnApproval] for one's own, and for one that was
// requested with an API key that the approver has made.
func (s *Replays) Approve(ctx context.Context, id string, author events.Author) error {
	r, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	own, err := s.samePerson(ctx, r.By, author.Actor)
	if err == nil && own {
		err = worker.ErrOwnApproval
	}
	if err != nil {
		return fmt.Errorf("replay %s: %w", text.Printable(id), err)
	}
	return s.append(ctx, id, author, events.ReplayApproved{Reason: author.Reason})
}

func (s *Replays) samePerson(ctx context.Context, a, b string) (bool, error) {
	if a == b {
		return true, nil
	}
	first, err := s.reader.person(ctx, a)
	if err != nil {
		return false, err
	}
	second, err := s.reader.person(ctx, b)
	return first == second, err
}

// person returns who acts as an actor. For an API key that is who made it, last of all when it was made several times; a key that
// another key made belongs to the maker of that one. A key that no member of staff made, such as the one of a shop in one process,
// stands for itself.
func (r *Reader) person(ctx context.Context, actor string) (string, error) {
	for passed := map[string]bool{}; !passed[actor]; {
		passed[actor] = true
		name, isKey := strings.CutPrefix(actor, events.ActorKey)
		if !isKey {
			return actor, nil
		}
		maker := ""
		err := r.Each(ctx, Range{Subjects: []string{events.PrefixKey + name}}, func(m Message) error {
			if m.Header.Get(events.HeaderType) == (events.KeyMade{}).EventType() && !m.Voided() {
				maker = m.Header.Get(events.HeaderActor)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		if !events.IsStaff(maker) {
			return actor, nil
		}
		actor = maker
	}
	return actor, nil
}
