package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// system is the data of the page.
type system struct {
	Now       time.Time
	State     state
	Last      uint64
	Drawing   drawing
	Processes []Process
	Audit     replay.AuditReport
	Topology  int
	May       bool // the reader may pause and resume lanes
	Copies    bool // the reader may download copies of the shop
}

func (c *console) system(r *http.Request) (system, error) {
	p, _ := c.principal(r)
	s := system{Now: c.Now(), State: c.gauges.now(r.Context()), Processes: c.Readiness(r.Context()), Topology: events.Topology, May: p.May(api.WriteLanes), Copies: p.May(api.RepairData)}
	if s.State.Err != nil {
		return s, s.State.Err
	}
	var err error
	if s.Last, err = c.Log.Last(r.Context()); err != nil {
		return s, err
	}
	if s.Audit, err = c.Log.LastAudit(r.Context()); err != nil {
		return s, err
	}
	s.Drawing = draw(s.State.Lanes, s.Last)
	return s, nil
}

func (c *console) showSystem(w http.ResponseWriter, r *http.Request) error {
	s, err := c.system(r)
	if err != nil {
		return err
	}
	return c.render(w, r, "system.html", page{Title: "System", Nav: "System", Command: "ops lag", Script: "live.js", Data: s})
}

func (c *console) liveSystem(r *http.Request, s *stream) error {
	return s.repeat(r.Context(), func() error {
		data, err := c.system(r)
		if err != nil {
			return err
		}
		return c.sendParts(s, "system.html", []string{"drawing", "processes", "lanes"}, data)
	})
}

// State is one word about a lane, and Class the colour of it.
func (l lane) State() string {
	switch {
	case l.Paused:
		return "paused"
	case l.CircuitOpen != "":
		return "circuit open"
	case l.Holder == "":
		return "no holder"
	case l.Lag > lagging:
		return "lags"
	}
	return "runs"
}

// Class is the colour of the state.
func (l lane) Class() string {
	switch l.State() {
	case "runs":
		return "good"
	case "paused", "lags":
		return "warn"
	}
	return "bad"
}

// Speed is the rate of a lane in words.
func (l lane) Speed() string {
	if l.Rate < 0.05 {
		return "0/s"
	}
	return compact(l.Rate) + "/s"
}

// pauses are the durations that the form offers; "" pauses until the lane is resumed.
var pauses = map[string]time.Duration{"": 0, "10m": 10 * time.Minute, "1h": time.Hour, "1d": day}

func (c *console) pauseLane(r *http.Request, author events.Author) (outcome, error) {
	name, until := r.PathValue("lane"), replay.UntilResumed
	length, ok := pauses[r.PostForm.Get("for")]
	switch {
	case !ok:
		return outcome{}, fmt.Errorf("pause %s: %q is none of the durations that the form offers", name, r.PostForm.Get("for"))
	case author.Reason == "":
		return outcome{}, fmt.Errorf("pause %s: say why", name)
	case length > 0:
		until = c.Now().Add(length)
	}
	if _, err := c.Log.Pause(r.Context(), []string{name}, until, author); err != nil {
		return outcome{}, err
	}
	c.gauges.sample(r.Context())
	return outcome{Text: "The lane " + name + " is paused. Its events wait in the log.", Event: c.newestOf(r, events.PrefixLane, name), To: "/ops/system"}, nil
}

func (c *console) resumeLane(r *http.Request, author events.Author) (outcome, error) {
	name := r.PathValue("lane")
	if author.Reason == "" {
		return outcome{}, fmt.Errorf("resume %s: say why", name)
	}
	if _, err := c.Log.Resume(r.Context(), []string{name}, author); err != nil {
		return outcome{}, err
	}
	c.gauges.sample(r.Context())
	return outcome{Text: "The lane " + name + " is resumed. It handles the events that waited.", Event: c.newestOf(r, events.PrefixLane, name), To: "/ops/system"}, nil
}

// Sizes of the drawing, in units of its view box.
const (
	boxHeight, boxGap     = 46, 12
	streamX, streamWidth  = 10, 170
	laneX, laneWidth      = 300, 270
	targetX, targetWidth  = 690, 200
	drawingWidth, drawPad = 900, 10
)

// drawing is the way of the events: the log, the lanes that read it, and what the lanes write.
type drawing struct {
	Width, Height, Middle int
	Last                  string
	Boxes                 []box
}

// box is one lane in the drawing.
type box struct {
	lane
	Y, Center           int
	Target, TargetNote  string
	FromLog, ToTarget   string // paths of the lines
	LagText, HolderText string
}

// targets are what lanes write to, besides the log.
var targets = []struct{ lane, name, note string }{
	{"orders.projection", "orders", "collection"}, {"payments.projection", "payments", "collection"}, {"archive", "archive", "collection"},
	{"payments.stripe", "Stripe", "other system"}, {"notifications.mail", "Mail server", "other system"},
}

// draw lays the lanes out from top to bottom.
func draw(lanes []lane, last uint64) drawing {
	d := drawing{Width: drawingWidth, Height: 2*drawPad + max(1, len(lanes))*(boxHeight+boxGap) - boxGap, Last: number(last)}
	d.Middle = d.Height / 2
	for i, l := range lanes {
		b := box{lane: l, Y: drawPad + i*(boxHeight+boxGap), Target: "log", TargetNote: "new events", LagText: "lag " + number(l.Lag), HolderText: l.Holder}
		b.Center = b.Y + boxHeight/2
		for _, t := range targets {
			if t.lane == l.Name {
				b.Target, b.TargetNote = t.name, t.note
			}
		}
		if b.HolderText == "" {
			b.HolderText = "no holder"
		}
		b.HolderText = strings.TrimSpace(short(b.HolderText))
		bend := (streamX + streamWidth + laneX) / 2
		b.FromLog = fmt.Sprintf("M%d %d C%d %d %d %d %d %d", streamX+streamWidth, d.Middle, bend, d.Middle, bend, b.Center, laneX, b.Center)
		b.ToTarget = fmt.Sprintf("M%d %d H%d", laneX+laneWidth, b.Center, targetX)
		d.Boxes = append(d.Boxes, b)
	}
	return d
}
