package replay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/worker"
)

// Problem is something that an operator should look at now.
type Problem struct {
	Code    string `json:"code"` // one of the constants below, or a condition of readiness
	Text    string `json:"text"`
	Command string `json:"command"` // that shows more, or helps
}

// The codes of problems.
const (
	ProblemAuditOld    = "audit_old"
	ProblemBehind      = "lane_behind"
	ProblemCircuitOpen = "circuit_open"
	ProblemDeadLetters = "dead_letters"
	ProblemDiffer      = "copies_differ"
	ProblemFree        = "lane_free"
	ProblemGap         = "log_damaged"
	ProblemPaused      = "lane_paused"
	ProblemReplay      = "replay_waits"
)

// Overview is the present state of the shop in short: what is wrong, the most urgent first.
type Overview struct {
	End      Moment      `json:"end"` // of the log; zero for an empty one
	Problems []Problem   `json:"problems"`
	Lanes    int         `json:"lanes"`
	Audit    AuditReport `json:"audit"` // the last one; its time is zero when there was none
}

// behindAfter is how long an event may wait for a lane. An active lane stores its position once a second.
const behindAfter = time.Minute

// auditedWithin is the age of the last comparison of log and archive from which on it is a problem. Processes compare once a day.
const auditedWithin = 48 * time.Hour

// Overview returns the present state of the shop in short. It needs no database.
func (r *Reader) Overview(ctx context.Context, now time.Time) (o Overview, err error) {
	o.Problems = []Problem{}
	for _, find := range []func(context.Context, *Overview, time.Time) error{r.findGaps, r.findDeadLetters, r.findLanes, r.findReplays, r.findAudit} {
		if err := find(ctx, &o, now); err != nil {
			return Overview{}, err
		}
	}
	return o, nil
}

func (o *Overview) find(code, command, format string, args ...any) {
	o.Problems = append(o.Problems, Problem{Code: code, Text: fmt.Sprintf(format, args...), Command: command})
}

// findGaps compares the number of messages with the last sequence: the log denies deletion, so they are equal.
func (r *Reader) findGaps(ctx context.Context, o *Overview, _ time.Time) error {
	stream, err := r.js.Stream(ctx, events.StreamShop)
	if err != nil {
		return fmt.Errorf("read state of stream %s: %w", events.StreamShop, err)
	}
	state := stream.CachedInfo().State
	if state.LastSeq > 0 {
		o.End = Moment{Sequence: state.LastSeq, Time: state.LastTime.UTC()}
	}
	if missing := state.LastSeq - min(state.LastSeq, state.Msgs); missing > 0 {
		o.find(ProblemGap, "ops repair", "the log lacks %s", plural(int(missing), "event"))
	}
	return nil
}

func (r *Reader) findDeadLetters(ctx context.Context, o *Overview, now time.Time) error {
	open, err := r.OpenDeadLetters(ctx, Selection{All: true})
	for _, c := range Causes(open) {
		o.find(ProblemDeadLetters, fmt.Sprintf("ops deadletters show %d", c.Example), "%s of %s, cause %s, the first %s ago: %s", plural(c.Count, "open dead letter"),
			c.Lane, c.Fingerprint, Age(now.Sub(c.First)), c.Error)
	}
	return err
}

func (r *Reader) findLanes(ctx context.Context, o *Overview, now time.Time) error {
	lanes, err := r.Lanes(ctx)
	o.Lanes = len(lanes)
	var free []string
	for _, l := range lanes {
		switch {
		case l.Paused:
			o.find(ProblemPaused, "ops resume "+l.Name+" --reason TEXT", "%s is paused; %s", l.Name, plural(int(l.Lag), "event")+" waiting")
		case l.Holder == "":
			free = append(free, l.Name)
		case l.CircuitOpen != "":
			o.find(ProblemCircuitOpen, "ops lag", "the circuit of %s is open: %s", l.Name, l.CircuitOpen)
		case l.Lag > 0:
			r.findBehind(ctx, o, l, now)
		}
	}
	if len(free) > 0 {
		o.find(ProblemFree, "ops lag", "no process runs %s", strings.Join(free, ", "))
	}
	return err
}

// findBehind reports a lane whose oldest waiting event has waited for too long.
func (r *Reader) findBehind(ctx context.Context, o *Overview, l Lane, now time.Time) {
	m, err := r.Get(ctx, l.Position+1)
	if waited := now.Sub(m.Stored); err == nil && waited > behindAfter {
		o.find(ProblemBehind, "ops lag", "%s is %s behind; the oldest has waited for %s", l.Name, plural(int(l.Lag), "event"), Age(waited))
	}
}

// findReplays reports the replays that wait for a second person.
func (r *Reader) findReplays(ctx context.Context, o *Overview, now time.Time) error {
	all, err := (&Replays{reader: r}).List(ctx)
	for _, p := range all {
		if p.State == worker.ReplayWaiting {
			o.find(ProblemReplay, "ops replays approve "+p.ID, "a replay of %s waits for a second person, requested %s ago by %s: %s",
				plural(p.Requested.Events, "event"), Age(now.Sub(p.At)), p.By, p.Requested.Reason)
		}
	}
	return err
}

func (r *Reader) findAudit(ctx context.Context, o *Overview, now time.Time) (err error) {
	o.Audit, err = r.LastAudit(ctx)
	switch age := now.Sub(o.Audit.At); {
	case err != nil || o.Audit.At.IsZero():
	case o.Audit.Differences > 0:
		o.find(ProblemDiffer, "ops verify --deep", "log and archive differ in %s", plural(int(o.Audit.Differences), "sequence"))
	case age > auditedWithin:
		o.find(ProblemAuditOld, "ops verify --deep", "log and archive were last compared %s ago", Age(age))
	}
	return err
}

// Age writes a duration in one unit, such as 12 s, 5 min, 3 h or 2 d.
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(int(d.Seconds()), 0))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 2*24*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}
