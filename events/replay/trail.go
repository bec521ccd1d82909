package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Action is one event that a member of staff or an API key caused.
type Action struct {
	Stored   time.Time `json:"stored"`
	Stream   string    `json:"stream"` // SHOP or DEADLETTERS
	Sequence uint64    `json:"sequence"`
	Actor    string    `json:"actor"`
	Type     string    `json:"type"`
	Subject  string    `json:"subject"`
	Order    string    `json:"order_id,omitempty"` // that the event is about
	Summary  string    `json:"summary"`
	Reason   string    `json:"reason,omitempty"`
	Via      string    `json:"via,omitempty"`
	EventID  string    `json:"event_id"`
}

// ActionFilter selects actions. An empty field selects all.
type ActionFilter struct {
	Actor  string // such as "staff:mira", or "mira" alone
	Type   string // of the event; * matches any text, as in "ops.*"
	Entity string // a subject, or the id of an order, an item or another entity
	Since  time.Time
	Until  time.Time
}

// Check returns why the filter cannot be used, nil when it can.
func (f ActionFilter) Check() error {
	if _, err := path.Match(f.Type, ""); err != nil {
		return fmt.Errorf("type %q: %w", f.Type, err)
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && f.Until.Before(f.Since) {
		return fmt.Errorf("until %s is before since %s", f.Until.UTC().Format(time.RFC3339), f.Since.UTC().Format(time.RFC3339))
	}
	return nil
}

// Place is a place in a [Trail]: everything before it is older. The zero Place is the end of the trail.
type Place struct {
	Shop    uint64 // sequence in SHOP
	Letters uint64 // sequence in DEADLETTERS
}

// String returns the place as text for [ParsePlace].
func (p Place) String() string { return fmt.Sprintf("%d.%d", p.Shop, p.Letters) }

// ParsePlace is the inverse of [Place.String]; "" is the end of the trail.
func ParsePlace(text string) (p Place, err error) {
	if text == "" {
		return Place{}, nil
	}
	shop, letters, _ := strings.Cut(text, ".")
	var err1, err2 error
	p.Shop, err1 = strconv.ParseUint(shop, 10, 64)
	p.Letters, err2 = strconv.ParseUint(letters, 10, 64)
	if err = errors.Join(err1, err2); err != nil || p.Shop == 0 || p.Letters == 0 {
		return Place{}, fmt.Errorf("%q is not a place in the audit", text)
	}
	return p, nil
}

// Trail lists what staff did: every event of SHOP and DEADLETTERS whose actor is a member of staff or an API key.
//
// It is read from the log itself, so it is exact, needs no database, and cannot differ from the log. A projection was measured
// instead: the embedded database reads every document of a collection for each page (1.5 s for 10,000 actions), while a
// trail reads the headers of new events once and keeps the actions in memory:
//
//	newest ◄── each page first reads what was appended since ── [read so far] ── and older events when the page needs them ──► oldest
//
// A trail is safe for concurrent use.
type Trail struct {
	Progress func(stage string, done, total uint64) // default: none

	reader  *Reader
	window  uint64     // messages to read at a time
	mu      sync.Mutex // held while the log is read
	shop    part
	letters part
	names   map[string]string // one copy of each actor and type
}

// Trail returns a trail that has read nothing.
func (r *Reader) Trail() *Trail {
	return &Trail{reader: r, window: window, shop: part{stream: events.StreamShop}, letters: part{stream: events.StreamDeadLetters}, names: map[string]string{}}
}

// Page returns at most limit actions before a place, newest first, and the place of the next page, the zero Place when there
// is none.
func (t *Trail) Page(ctx context.Context, filter ActionFilter, before Place, limit int) ([]Action, Place, error) {
	if err := filter.Check(); err != nil {
		return nil, Place{}, err
	}
	found, next, err := t.find(ctx, filter, before, limit)
	if err != nil {
		return nil, Place{}, fmt.Errorf("read what staff did: %w", err)
	}
	actions := make([]Action, 0, len(found))
	for _, e := range found {
		a, err := t.reader.action(ctx, e)
		if err != nil {
			return nil, Place{}, err
		}
		actions = append(actions, a)
	}
	return actions, next, nil
}

// Warm reads the whole log, so that no later page has to.
func (t *Trail) Warm(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = t.readOlder(ctx); err != nil {
			return fmt.Errorf("read what staff did: %w", err)
		}
	}
	return nil
}

func (t *Trail) readOlder(ctx context.Context) (more bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.catchUp(ctx); err != nil {
		return false, err
	}
	return t.older(ctx, &t.shop, time.Time{})
}

// find returns the entries of a page.
func (t *Trail) find(ctx context.Context, filter ActionFilter, before Place, limit int) (found []trailEntry, next Place, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.catchUp(ctx); err != nil {
		return nil, Place{}, err
	}
	next = before.or(t.shop.to+1, t.letters.to+1)
	for {
		e, from, err := t.newest(ctx, next, filter.Since)
		if err != nil || e == nil || e.at < filter.since() {
			return found, Place{}, err
		}
		if filter.selects(*e) {
			if len(found) == limit {
				return found, next, nil
			}
			found = append(found, *e)
		}
		next = from
	}
}

// or returns the place, with these sequences where it is the end of the trail.
func (p Place) or(shop, letters uint64) Place {
	return Place{cmp.Or(p.Shop, shop), cmp.Or(p.Letters, letters)}
}

// newest returns the newest entry before a place, nil when there is none since a time, and its own place.
func (t *Trail) newest(ctx context.Context, before Place, since time.Time) (*trailEntry, Place, error) {
	shop, err := t.newestOf(ctx, &t.shop, before.Shop, since)
	if err != nil {
		return nil, before, err
	}
	letter, err := t.newestOf(ctx, &t.letters, before.Letters, since)
	switch {
	case err != nil || shop == nil && letter == nil:
		return nil, before, err
	case letter == nil || shop != nil && shop.at >= letter.at:
		return shop, Place{shop.sequence, before.Letters}, nil
	}
	return letter, Place{before.Shop, letter.sequence}, nil
}

// newestOf returns the newest entry of one stream before a sequence. It reads older messages while it has none.
func (t *Trail) newestOf(ctx context.Context, p *part, before uint64, since time.Time) (*trailEntry, error) {
	for {
		i, _ := slices.BinarySearchFunc(p.entries, before, func(e trailEntry, s uint64) int { return cmp.Compare(e.sequence, s) })
		if i > 0 {
			return &p.entries[i-1], nil
		}
		if more, err := t.older(ctx, p, since); err != nil || !more {
			return nil, err
		}
	}
}

// action reads the message of an entry.
func (r *Reader) action(ctx context.Context, e trailEntry) (Action, error) {
	a := Action{Stored: time.Unix(0, e.at).UTC(), Stream: e.stream, Sequence: e.sequence, Actor: e.actor, Type: e.kind, Subject: e.subject, Order: e.order}
	m, err := r.GetFrom(ctx, e.stream, e.sequence)
	if errors.Is(err, ErrNotFound) {
		a.Summary = "the log has lost this event"
		return a, nil
	}
	if err != nil {
		return a, err
	}
	event, err := m.Event()
	a.Summary, a.Reason, a.Via, a.EventID = Summary(event), event.Reason, event.Via, event.ID
	if err != nil {
		a.Summary = err.Error()
	}
	return a, nil
}

// actions are the entities of recorded actions, each with one event.
var actions = eventlog.Entity[events.ActionRecorded]{Prefix: events.PrefixAction, Apply: func(_ events.ActionRecorded, e events.Event) (events.ActionRecorded, error) {
	recorded, ok := e.Payload.(events.ActionRecorded)
	if !ok {
		return recorded, fmt.Errorf("unexpected event %s of an action", e.Type)
	}
	return recorded, nil
}}

// Record appends what an author has done outside the log.
func (r *Reader) Record(ctx context.Context, action events.ActionRecorded, author events.Author) error {
	id := uuid.Must(uuid.NewV7()).String()
	err := r.log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(author)
		return actions.Append(tx, id, action)
	})
	if err != nil {
		return fmt.Errorf("record %s for the audit: %w", action.Action, err)
	}
	return nil
}

// RecordEnd records an action that has ended, with failed in place of its outcome unless failed is nil. It does so also when ctx has
// ended, because the action is done.
func (r *Reader) RecordEnd(ctx context.Context, action events.ActionRecorded, failed error, author events.Author) error {
	if failed != nil {
		action.Outcome = fmt.Sprintf("failed: %.500v", failed)
	}
	return r.Record(context.WithoutCancel(ctx), action, author)
}
