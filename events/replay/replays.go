package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/text"
	"tillstream/events/worker"
)

// Lanes knows the decide and act lanes of the shop. [worker.Dispatcher] implements it.
type Lanes interface {
	// Lanes returns the names of the lanes, sorted.
	Lanes() []string
	// Takes reports whether a lane handles events of a type.
	Takes(lane, eventType string) bool
}

// DefaultApprovalOver is the default of the setting APPROVAL_OVER.
const DefaultApprovalOver = 1000

// maxReplays is how often a lane is asked to handle an event again, in replays and redrives together, before both leave the event out.
const maxReplays = 3

var (
	// ErrNothingSelected is returned by Plan when the selection has no event that one of the lanes handles.
	ErrNothingSelected = errors.New("no event is selected")
	// ErrBadSelection is returned by Plan for a selection that names an unknown lane or event type, or an empty range.
	ErrBadSelection = errors.New("bad selection")
	// ErrNeedsApproval is returned by Drive for a replay that waits for a second person.
	ErrNeedsApproval = errors.New("the replay waits for the approval of a second person")
	// ErrStopped is returned by Drive when operators have stopped the replay.
	ErrStopped = errors.New("the replay is stopped")
)

// Replays requests and drives replays: lanes handle events again that they may have handled before. A replay is an entity in the
// log; see [events.ReplayRequested] for its life.
type Replays struct {
	reader       *Reader
	lanes        Lanes
	approvalOver int
}

// NewReplays returns the replays of a shop. A replay of more than approvalOver events needs the approval of a second person; those that
// one person requests within an hour count together.
func NewReplays(reader *Reader, lanes Lanes, approvalOver int) *Replays {
	return &Replays{reader: reader, lanes: lanes, approvalOver: approvalOver}
}

// ReplayOptions select events and lanes, and say how fast the lanes handle them. The zero value selects everything.
type ReplayOptions struct {
	Order string   // id of an order: the events of the order, its reservation, payment and mails
	Lanes []string // default all decide and act lanes
	Types []string // event types; default all that one of the lanes handles
	Since time.Time
	Until time.Time
	From  uint64 // first sequence
	To    uint64 // last sequence; default the end of the log
	Max   int    // the first events of the selection; default all
	Rate  int    // events per second; default 500
	Force bool   // events that were replayed often already are not left out
}

// DefaultRate is the default of [ReplayOptions.Rate].
const DefaultRate = 500

// Plan is what a replay would handle. [Replays.Request] requests it.
type Plan struct {
	events.ReplayRequested
	ByLane      map[string]int `json:"by_lane"` // handlings
	ByType      map[string]int `json:"by_type"` // events
	Quarantined []Quarantined  `json:"quarantined,omitempty"`
	OverMax     int            `json:"over_max,omitempty"`      // events of the selection that Max leaves out
	OverMaxFrom uint64         `json:"over_max_from,omitempty"` // sequence of the first of them
}

// Quarantined is an event that a replay leaves out, because a lane was asked to handle it again maxReplays times already.
type Quarantined struct {
	Lane     string `json:"lane"`
	Sequence uint64 `json:"sequence"`
	Type     string `json:"type"`
	Replays  int    `json:"replays"`
}

// Plan resolves a selection against the log as it is now. It changes nothing.
func (s *Replays) Plan(ctx context.Context, o ReplayOptions) (Plan, error) {
	selection, err := s.resolve(ctx, o)
	if err != nil {
		return Plan{}, err
	}
	plan := Plan{ReplayRequested: events.ReplayRequested{Selection: selection, Rate: o.Rate, Force: o.Force, ApprovalOver: s.approvalOver},
		ByLane: map[string]int{}, ByType: map[string]int{}}
	if plan.Rate == 0 {
		plan.Rate = DefaultRate
	}
	quarantine, err := s.reader.quarantine(ctx, o.Force, 0)
	if err != nil {
		return Plan{}, err
	}
	err = s.eachSelected(ctx, selection, selection.From, func(m Message, lanes []string) error {
		plan.add(m, lanes, quarantine, o.Max)
		return nil
	})
	if err != nil {
		return Plan{}, err
	}
	if plan.Events == 0 && plan.LeftOut == 0 {
		return Plan{}, fmt.Errorf("%w: %s handles no event of the selection between %d and %d", ErrNothingSelected,
			strings.Join(selection.Lanes, ", "), selection.From, selection.To)
	}
	plan.NeedsApproval = plan.Events > s.approvalOver
	return plan, nil
}

// add counts an event of the selection. The selection ends with the last event that most allows; 0 allows all.
func (p *Plan) add(m Message, lanes []string, quarantine quarantine, most int) {
	eventType := m.Header.Get(events.HeaderType)
	var taking []string
	var refused []Quarantined
	for _, lane := range lanes {
		if n := quarantine[handling{lane, m.Sequence}]; n >= maxReplays {
			refused = append(refused, Quarantined{lane, m.Sequence, eventType, n})
			continue
		}
		taking = append(taking, lane)
	}
	if most > 0 && p.Events >= most {
		if len(taking) > 0 {
			p.OverMax, p.OverMaxFrom = p.OverMax+1, cmp.Or(p.OverMaxFrom, m.Sequence)
		}
		return
	}
	p.LeftOut, p.Quarantined = p.LeftOut+len(refused), append(p.Quarantined, refused...)
	if len(taking) == 0 {
		return
	}
	for _, lane := range taking {
		p.ByLane[lane]++
	}
	p.Handlings += len(taking)
	p.Events++
	p.ByType[eventType]++
	if p.Events == most {
		p.Selection.To = m.Sequence
	}
}

// resolve turns options into a selection, or returns [ErrBadSelection], [ErrNothingSelected] or [ErrNotFound].
func (s *Replays) resolve(ctx context.Context, o ReplayOptions) (selection events.ReplaySelection, err error) {
	if selection.Lanes, err = s.checkLanes(o); err != nil {
		return selection, err
	}
	last, err := s.reader.Last(ctx)
	if err != nil {
		return selection, err
	}
	selection.Types = o.Types
	selection.From, selection.To = max(o.From, 1), last
	if o.To > 0 {
		selection.To = min(o.To, last)
	}
	if !o.Since.IsZero() {
		since := o.Since.UTC()
		first, err := s.reader.first(ctx, Range{Since: since})
		if err != nil {
			return selection, err
		}
		selection.Since, selection.From = &since, max(selection.From, first)
	}
	if !o.Until.IsZero() {
		until := o.Until.UTC()
		after, err := s.reader.first(ctx, Range{Since: until})
		if err != nil {
			return selection, err
		}
		selection.Until, selection.To = &until, min(selection.To, after-1)
	}
	if selection.From > selection.To {
		return selection, fmt.Errorf("%w: the log has no event from %d to %d", ErrNothingSelected, selection.From, selection.To)
	}
	if o.Order == "" {
		return selection, nil
	}
	selection.Order = o.Order
	if selection.Subjects, err = ownSubjects(o.Order); err != nil {
		return selection, err
	}
	if _, err := s.reader.Newest(ctx, selection.Subjects[0]); err != nil {
		return selection, fmt.Errorf("order %s: %w", o.Order, err)
	}
	return selection, nil
}

// checkLanes returns the lanes of a selection, and refuses unknown lanes and types that no lane handles.
func (s *Replays) checkLanes(o ReplayOptions) ([]string, error) {
	known, lanes := s.lanes.Lanes(), slices.Clone(o.Lanes)
	if len(lanes) == 0 {
		lanes = known
	}
	for _, lane := range lanes {
		if !slices.Contains(known, lane) {
			return nil, fmt.Errorf("%w %q that decides or acts: there are %s", ErrUnknownLane, lane, strings.Join(known, ", "))
		}
	}
	for _, eventType := range o.Types {
		switch {
		case !events.IsKnown(eventType):
			return nil, fmt.Errorf("%w: no event type %q", ErrBadSelection, eventType)
		case !slices.ContainsFunc(lanes, func(lane string) bool { return s.lanes.Takes(lane, eventType) }):
			return nil, fmt.Errorf("%w: none of %s handles events of type %s", ErrBadSelection, strings.Join(lanes, ", "), eventType)
		}
	}
	slices.Sort(lanes)
	return slices.Compact(lanes), nil
}

// eachSelected calls fn for the events of a selection from a sequence on, with the lanes that are to handle each.
func (s *Replays) eachSelected(ctx context.Context, selection events.ReplaySelection, from uint64, fn func(m Message, lanes []string) error) error {
	part := Range{From: from, To: selection.To, Subjects: selection.Subjects}
	return s.reader.Each(ctx, part, func(m Message) error {
		eventType := m.Header.Get(events.HeaderType)
		if m.Voided() || len(selection.Types) > 0 && !slices.Contains(selection.Types, eventType) {
			return nil
		}
		var lanes []string
		for _, lane := range selection.Lanes {
			if s.lanes.Takes(lane, eventType) {
				lanes = append(lanes, lane)
			}
		}
		if len(lanes) == 0 {
			return nil
		}
		return fn(m, lanes)
	})
}

// ignoreUnreadable drops the error of a message that is no event: readers of the log pass over it.
func ignoreUnreadable(error) error { return nil }

// Request requests a planned replay under a new id. When it returns, the request is in the log. Nothing is handled before
// [Replays.Drive].
func (s *Replays) Request(ctx context.Context, plan Plan, author events.Author) (id string, err error) {
	if author, err = checkReason(author); err != nil {
		return "", err
	}
	if plan.Events == 0 {
		return "", fmt.Errorf("%w: all events are in quarantine, because they were replayed %d times; --force includes them", ErrNothingSelected, maxReplays)
	}
	before, err := s.unapproved(ctx, author.Actor)
	if err != nil {
		return "", err
	}
	requested := plan.ReplayRequested
	requested.Reason, requested.NeedsApproval = author.Reason, before+plan.Events > s.approvalOver
	id = uuid.Must(uuid.NewV7()).String()
	return id, s.append(ctx, id, author, requested)
}

// Stop stops a replay. Lanes still handle the batches that were requested before.
func (s *Replays) Stop(ctx context.Context, id string, author events.Author) (err error) {
	if author, err = checkReason(author); err != nil {
		return err
	}
	return s.append(ctx, id, author, events.ReplayStopped{Reason: author.Reason})
}

// Resume lets a stopped replay go on where it was. A process must drive it.
func (s *Replays) Resume(ctx context.Context, id string, author events.Author) (err error) {
	if author, err = checkReason(author); err != nil {
		return err
	}
	return s.append(ctx, id, author, events.ReplayResumed{Reason: author.Reason})
}

// append appends an event to a replay. It returns [ErrNotFound] when the replay does not exist.
func (s *Replays) append(ctx context.Context, id string, author events.Author, fact events.Payload) error {
	_, isNew := fact.(events.ReplayRequested)
	err := s.reader.log.Do(ctx, func(tx *eventlog.Tx) error {
		tx.WithAuthor(author)
		r, err := worker.Replays.Load(tx, id)
		if err == nil && r.State == "" && !isNew {
			err = fmt.Errorf("%w: no replay has this id; ops replays list shows them", ErrNotFound)
		}
		if err != nil {
			return err
		}
		return worker.Replays.Append(tx, id, fact)
	})
	if err != nil {
		return fmt.Errorf("replay %s: %w", text.Printable(id), err)
	}
	return nil
}
