package console

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"tillstream/events"
	"tillstream/events/replay"
)

// picture is the timeline of an order as swim-lanes, in units of the SVG. The template draws it and computes nothing.
//
//	lane      o name ──────────►o name        a dot is one event, or several of one kind and cause
//	lane             └──►o name    ┊ 2 d ┊    an arrow leads from a cause to its effect; a long gap is compressed
type picture struct {
	Width, Height int
	Lanes         []swimlane
	Dots          []dot
	Arrows        []arrow
	Gaps          []gap
}

// swimlane is the row of one actor.
type swimlane struct {
	Name string
	Y    int
}

// dot is one event of the picture.
type dot struct {
	X, Y     int
	Label    string
	Title    string // read by screen readers and shown on hover
	To       string // address of the event
	Bad      bool   // a failed attempt or a dead letter
	Selected bool
	InRange  bool
}

// arrow leads from a cause to its effect.
type arrow struct {
	Path string
	Bad  bool
}

// gap is a time in which nothing happened.
type gap struct {
	X     int
	Label string
}

// selection is what is selected in a picture: an event, and a range of sequences. 0 selects nothing.
type selection struct{ event, from, to uint64 }

// The measures of a picture.
const (
	laneHeight = 46
	firstX     = 112 // after the names of the lanes
	topY       = 44
	dotRadius  = 6
	charWidth  = 7   // of a label
	gapWidth   = 74  // of a compressed gap
	rightSpace = 120 // for the last label
)

// longGap is the time from which on a gap is compressed.
const longGap = time.Minute

// laneNames are the lanes from top to bottom.
var laneNames = []string{"shopper", "orders", "inventory", "payments", "stripe", "mail", "staff"}

// drawTimeline lays the entries of a timeline out. Entries are in causal order, so arrows lead to the right.
func drawTimeline(entries []replay.Entry, s selection) picture {
	var p picture
	y := p.addLanes(entries)
	x, ends := firstX, map[string]int{}
	dots := map[int]dot{} // by the number of an entry
	for i := 0; i < len(entries); {
		n := alike(entries[i:])
		if i > 0 {
			x = p.advance(x, entries[i].After-entries[i-1].After)
		}
		lane := laneOf(entries[i])
		x = max(x, ends[lane])
		d := newDot(entries[i:i+n], x, y[lane], s)
		ends[lane] = x + charWidth*utf8.RuneCountInString(d.Label) + 10
		for _, e := range entries[i : i+n] {
			dots[e.Number] = d
		}
		if cause, ok := dots[entries[i].Cause]; ok {
			p.Arrows = append(p.Arrows, connect(cause, d))
		}
		p.Dots = append(p.Dots, d)
		i += n
	}
	p.Width = x + rightSpace
	return p
}

// addLanes adds the lanes that have events and returns their heights.
func (p *picture) addLanes(entries []replay.Entry) map[string]int {
	used, y := map[string]bool{}, map[string]int{}
	for _, e := range entries {
		used[laneOf(e)] = true
	}
	for _, name := range laneNames {
		if used[name] {
			y[name] = topY + laneHeight*len(p.Lanes) + laneHeight/2
			p.Lanes = append(p.Lanes, swimlane{Name: name, Y: y[name]})
		}
	}
	p.Height = topY + laneHeight*len(p.Lanes) + 8
	return y
}

// advance returns the position of an event that follows the last one after a time. It grows with the time, but slowly; a long time is
// a gap with a label.
func (p *picture) advance(x int, after time.Duration) int {
	switch {
	case after >= longGap:
		p.Gaps = append(p.Gaps, gap{X: x + gapWidth/2 + 10, Label: duration(after)})
		return x + gapWidth + 20
	case after >= time.Second:
		return x + 44
	case after >= 20*time.Millisecond:
		return x + 30
	}
	return x + 20
}

// alike returns how many entries at the beginning are of one kind, one cause and one moment: the stock movements of the lines.
func alike(entries []replay.Entry) int {
	n := 1
	for n < len(entries) && entries[n].Type == entries[0].Type && entries[n].Cause == entries[0].Cause && entries[n].Stream == entries[0].Stream &&
		entries[n].After-entries[n-1].After < time.Second && strings.HasPrefix(entries[n].Type, "inventory.stock_") {
		n++
	}
	return n
}

// laneOf returns the lane of an entry: who did it, not where it is stored.
func laneOf(e replay.Entry) string {
	domain, _, _ := strings.Cut(e.Subject, ".")
	if fact, ok := e.Payload.(events.DeadLettered); ok {
		domain, _, _ = strings.Cut(fact.Subject, ".")
	}
	switch {
	case events.IsStaff(e.Actor):
		return "staff"
	case e.Actor == events.ActorGuest, strings.HasPrefix(e.Actor, events.ActorCustomer):
		return "shopper"
	case e.Type == (events.WebhookReceived{}).EventType():
		return "stripe"
	case domain == "notifications":
		return "mail"
	case domain == "inventory", domain == "payments":
		return domain
	}
	return "orders"
}

// failed are the events that record a failure, by type.
var failed = map[string]bool{
	(events.PaymentDeclined{}).EventType(): true, (events.PaymentFailed{}).EventType(): true, (events.PaymentRefundFailed{}).EventType(): true,
	(events.MessageFailed{}).EventType(): true, (events.MessageUnknown{}).EventType(): true, (events.DeadLettered{}).EventType(): true,
	(events.OrderRejected{}).EventType(): true, (events.ReservationRefused{}).EventType(): true,
}

// newDot returns the dot of entries that are alike.
func newDot(entries []replay.Entry, x, y int, s selection) dot {
	e := entries[0]
	_, name, _ := strings.Cut(e.Type, ".")
	d := dot{X: x, Y: y, Label: words(name), Title: fmt.Sprintf("%s, %s, %s", e.Type, offset(e.After), e.Summary), Bad: failed[e.Type],
		To: fmt.Sprintf("?event=%d#event", e.Sequence)}
	if s.from > 0 {
		d.To = fmt.Sprintf("?event=%d&from=%d&to=%d#event", e.Sequence, s.from, s.to)
	}
	if len(entries) > 1 {
		d.Label = fmt.Sprintf("%s ×%d", d.Label, len(entries))
	}
	if e.Stream == events.StreamDeadLetters {
		d.Label, d.To, d.Bad = "dead letter", fmt.Sprintf("/ops/deadletters/%d", e.Sequence), true
		return d
	}
	d.Selected = s.event > 0 && e.Sequence == s.event
	d.InRange = s.from > 0 && e.Sequence >= s.from && e.Sequence <= s.to
	return d
}

// connect returns the arrow from a cause to its effect. It leaves the cause downwards or upwards and arrives from the left.
func connect(cause, effect dot) arrow {
	to := effect.X - dotRadius - 5
	if cause.Y == effect.Y {
		return arrow{Path: fmt.Sprintf("M%d %d H%d", cause.X+dotRadius, cause.Y, to), Bad: effect.Bad}
	}
	return arrow{Path: fmt.Sprintf("M%d %d C%d %d %d %d %d %d", cause.X, cause.Y, cause.X, effect.Y, cause.X, effect.Y, to, effect.Y), Bad: effect.Bad}
}

// offset is the time since the first event.
func offset(after time.Duration) string {
	if after < 10*time.Second {
		return fmt.Sprintf("+%d ms", after.Milliseconds())
	}
	return "+" + duration(after)
}
