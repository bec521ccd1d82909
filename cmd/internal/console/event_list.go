package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// Limits of one page of events: without a filter that the broker knows, it looks through at most maxScan events and for about lookFor.
// The page says how far it has looked, and the next one goes on from there. It looks at few events first, because most pages need
// no more.
const (
	firstScan  = 100
	maxStep    = 2_000
	maxScan    = 20_000
	lookFor    = 150 * time.Millisecond
	shownAtAll = 50
)

// eventFilter selects events. Every field that is not empty must match.
type eventFilter struct {
	Type, Entity, Actor, Order, Text string
	Before                           uint64 // only events before this sequence; 0 means the newest
	At                               string // a time or a sequence to jump to
}

func filterOf(query url.Values) eventFilter {
	get := func(name string) string { return strings.TrimSpace(query.Get(name)) }
	before, _ := strconv.ParseUint(get("before"), 10, 64) // anything else means the newest
	return eventFilter{Type: get("type"), Entity: get("entity"), Actor: get("actor"), Order: get("order"), Text: get("q"), Before: before, At: get("at")}
}

// Query returns the filter as the query of an address, without its position.
func (f eventFilter) Query() string {
	query := url.Values{}
	for name, value := range map[string]string{"type": f.Type, "entity": f.Entity, "actor": f.Actor, "order": f.Order, "q": f.Text} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query.Encode()
}

// matches reports whether an event is selected. It decodes a body only when nothing else decides.
func (f eventFilter) matches(m replay.Message) bool {
	has := func(text, part string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(part)) }
	kind := cmp.Or(m.Header.Get(events.HeaderType), noEvent)
	switch {
	case f.Type != "" && kind != f.Type && !strings.HasPrefix(kind, strings.TrimSuffix(f.Type, ".")+"."):
		return false
	case f.Entity != "" && !has(m.Subject, f.Entity), f.Actor != "" && !has(m.Header.Get(events.HeaderActor), f.Actor), f.Order != "" && m.Header.Get(events.HeaderCorrelationID) != f.Order:
		return false
	}
	return f.Text == "" || has(m.Subject, f.Text) || has(m.Header.Get(events.HeaderID), f.Text) || has(string(m.Data), f.Text) || has(rowOf(m, time.Time{}).Summary, f.Text)
}

// noEvent is the type of a message that is no event.
const noEvent = "(no event)"

// eventRow is one line of the list.
type eventRow struct {
	Sequence                                    uint64
	Stored, Now                                 time.Time
	ID, Type, Subject, Actor, Reason, Order, By string
	Summary                                     string
	Unreadable                                  bool
}

func rowOf(m replay.Message, now time.Time) eventRow {
	e, err := m.Event()
	row := eventRow{Sequence: m.Sequence, Stored: m.Stored, Now: now, ID: e.ID, Type: e.Type, Subject: m.Subject, Actor: e.Actor, Reason: e.Reason,
		Order: e.CorrelationID, Summary: replay.Summary(e)}
	switch {
	case m.Voided():
		row.Summary = "void: every fold skips it"
	case err != nil:
		row.Unreadable, row.Summary = true, err.Error()
	}
	if row.Type == "" {
		row.Type = noEvent
	}
	return row
}

// literal matches a subject without wildcards: the broker finds its events by itself.
var literal = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$`)

// found is a page of the list.
type found struct {
	Rows    []eventRow // newest first
	Scanned uint64     // the first sequence that was looked at; 1 when the whole log was
}

// find returns the newest events before f.Before that match.
func (c *console) find(ctx context.Context, f eventFilter) (found, error) {
	last, err := c.Log.Last(ctx)
	if err != nil {
		return found{}, err
	}
	end := last + 1
	if f.Before > 0 {
		end = min(end, f.Before)
	}
	all, begun, part := found{Scanned: end}, c.Now(), replay.Range{}
	next := func(step uint64) uint64 { return min(2*step, maxStep) }
	more := func() bool { return end-all.Scanned < maxScan && c.Now().Sub(begun) < lookFor }
	if literal.MatchString(f.Entity) { // the broker passes over the events of other entities
		part.Subjects = []string{f.Entity}
		next, more = func(step uint64) uint64 { return 4 * step }, func() bool { return true }
	}
	for step := uint64(firstScan); all.Scanned > 1 && len(all.Rows) < shownAtAll && more(); step = next(step) {
		part.From, part.To = max(all.Scanned, step+1)-step, all.Scanned-1
		rows, err := c.collect(ctx, part, f, end)
		if err != nil {
			return all, err
		}
		all.Rows, all.Scanned = append(all.Rows, newestFirst(rows)...), part.From
	}
	all.Rows = all.Rows[:min(len(all.Rows), shownAtAll)]
	return all, nil
}

// collect returns the last events of a part of the log that match, oldest first.
func (c *console) collect(ctx context.Context, part replay.Range, f eventFilter, end uint64) (rows []eventRow, err error) {
	var matching []replay.Message
	err = c.Log.Each(ctx, part, func(m replay.Message) error {
		if m.Sequence < end && f.matches(m) {
			matching = append(matching, m)
			matching = matching[max(0, len(matching)-shownAtAll):]
		}
		return nil
	})
	now := c.Now()
	for _, m := range matching {
		rows = append(rows, rowOf(m, now))
	}
	return rows, err
}

func newestFirst(rows []eventRow) []eventRow {
	slices.Reverse(rows)
	return rows
}

// errFirst ends a read after its first event.
var errFirst = errors.New("the first event")

// jump returns the sequence to show first for a position that staff type: a sequence, or a time in UTC as [replay.ParseMoment] reads it.
func (c *console) jump(ctx context.Context, at string) (uint64, error) {
	moment, err := replay.ParseMoment(strings.TrimPrefix(at, "#"), c.Now().UTC())
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errInvalid, err)
	}
	if moment.Sequence > 0 {
		return moment.Sequence, nil
	}
	first, err := c.Log.Last(ctx)
	if err == nil {
		err = c.Log.Each(ctx, replay.Range{Since: moment.Time}, func(m replay.Message) error { first = m.Sequence; return errFirst })
	}
	if errors.Is(err, errFirst) {
		err = nil
	}
	return first, err
}

// eventList is the data of the page.
type eventList struct {
	found
	Filter eventFilter
	Types  []string
	After  uint64 // the last sequence of the log
	Live   bool   // the newest events are shown
	Older  string // address of the next page; "" on the last
	Mark   uint64 // the sequence to which staff jumped
}

func (c *console) showEvents(w http.ResponseWriter, r *http.Request) error {
	f := filterOf(r.URL.Query())
	list := eventList{Filter: f}
	var err error
	if f.At != "" {
		if list.Mark, err = c.jump(r.Context(), f.At); err != nil {
			return err
		}
		f.Before = list.Mark + shownAtAll/2
	}
	if list.After, err = c.Log.Last(r.Context()); err != nil {
		return err
	}
	if list.found, err = c.find(r.Context(), f); err != nil {
		return err
	}
	for _, d := range events.Definitions() {
		list.Types = append(list.Types, d.Type)
	}
	list.Live = f.Before == 0
	if oldest := list.oldest(); oldest > 1 {
		query, _ := url.ParseQuery(f.Query()) // made by url.Values
		query.Set("before", fmt.Sprint(oldest))
		list.Older = "/ops/events?" + query.Encode()
	}
	p := page{Title: "Events", Nav: "Events", Command: f.command(), Data: list}
	if list.Live {
		p.Script = "live.js"
	}
	return c.render(w, r, "events.html", p)
}

// oldest returns the sequence before which the next page begins.
func (l eventList) oldest() uint64 {
	if len(l.Rows) == shownAtAll {
		return l.Rows[len(l.Rows)-1].Sequence
	}
	return l.Scanned
}

// command is the line of ops that shows the same.
func (f eventFilter) command() string {
	switch {
	case f.Order != "":
		return "ops timeline " + f.Order
	case f.Type != "":
		return "ops tail --type " + f.Type
	}
	return "ops tail"
}

// liveEvents sends the rows of new events that match the filter of the page.
func (c *console) liveEvents(r *http.Request, s *stream) error {
	f := filterOf(r.URL.Query())
	after, err := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	if id := r.Header.Get("Last-Event-ID"); id != "" { // the browser reconnects by itself
		after, err = strconv.ParseUint(id, 10, 64)
	}
	if err != nil {
		after, err = c.Log.Last(r.Context())
	}
	if err != nil {
		return err
	}
	return c.Log.Follow(r.Context(), replay.Range{From: after + 1}, nil, func(m replay.Message) error {
		if !f.matches(m) {
			return nil
		}
		html, err := c.part("events.html", "event-row", rowOf(m, c.Now()))
		if err != nil {
			return err
		}
		return s.send("row", m.Sequence, html)
	})
}
