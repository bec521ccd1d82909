package console

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// entityFold folds the events of one kind of entity.
type entityFold struct {
	prefix string
	new    func() (step func(eventlog.Message) error, state func() any)
}

func foldOf[S any](entity eventlog.Entity[S]) entityFold {
	return entityFold{prefix: entity.Prefix, new: func() (func(eventlog.Message) error, func() any) {
		var state eventlog.State[S]
		step := func(m eventlog.Message) (err error) {
			state, err = entity.Step(state, m)
			return err
		}
		return step, func() any { return state.Value }
	}}
}

// folds are the entities whose state a page can show.
var folds = []entityFold{foldOf(orders.Orders), foldOf(inventory.Items), foldOf(inventory.Stocks), foldOf(inventory.Reservations),
	foldOf(payments.Payments), foldOf(notifications.Notifications)}

// entityStates are the states of an entity before an event, as the event met it, and now, as indented JSON; "" where there is none.
type entityStates struct {
	Before, Now string
	Changed     bool
	Problem     string // why the events after Before or Now cannot be applied
}

// statesAround folds the entity of a subject twice: up to the event before a sequence, and up to now.
func (c *console) statesAround(ctx context.Context, subject string, sequence uint64) (s entityStates, err error) {
	var fold *entityFold
	for _, f := range folds {
		if _, ok := events.ParseSubject(f.prefix, subject); ok && subject != events.SubjectWebhooks {
			fold = &f
		}
	}
	if fold == nil {
		return s, nil
	}
	step, state := fold.new()
	applied, captured := 0, false
	show := func() string {
		if applied == 0 {
			return ""
		}
		return jsonOf(state())
	}
	err = c.Log.Each(ctx, replay.Range{Subjects: []string{subject}}, func(m replay.Message) error {
		if m.Sequence >= sequence && !captured {
			s.Before, captured = show(), true
		}
		if s.Problem != "" {
			return nil
		}
		if problem := step(m); problem != nil {
			s.Problem = fmt.Sprintf("event %d cannot be applied: %v", m.Sequence, problem)
			return nil
		}
		applied++
		return nil
	})
	if s.Now = show(); !captured {
		s.Before = s.Now
	}
	s.Changed = s.Before != s.Now
	return s, err
}

// jsonOf is a value as indented JSON.
func jsonOf(v any) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // templates escape
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out.String())
}
