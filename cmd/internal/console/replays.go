package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

func (c *console) replayRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/replay", c.view(api.ReadAll, c.showReplays))
	mux.Handle("GET /ops/replay/plan", c.view(api.ReadAll, c.showPlan))
	mux.Handle("GET /ops/replay/{id}", c.view(api.ReadAll, c.showReplay))
	mux.Handle("POST /ops/replay", c.act(api.RunReplays, c.requestReplay))
	mux.Handle("POST /ops/replay/{id}/approve", c.act(api.ApproveReplays, c.approveReplay))
	mux.Handle("POST /ops/replay/{id}/stop", c.act(api.RunReplays, c.stopReplay))
	mux.Handle("POST /ops/replay/{id}/resume", c.act(api.RunReplays, c.resumeReplay))
}

// replaysPage is the data of replays.html.
type replaysPage struct {
	Form    replayForm
	Lanes   []string
	Types   []string
	Replays []replay.Replay
	Pager   pager
}

// showReplays shows the form of a new replay, and the running and past ones.
func (c *console) showReplays(w http.ResponseWriter, r *http.Request) error {
	all, err := c.replays.List(r.Context())
	if err != nil {
		return err
	}
	data := replaysPage{Form: formOf(r.URL.Query()), Lanes: c.Dispatcher.Lanes(), Types: c.replayTypes(), Pager: pagerOf(r)}
	data.Pager.Total = len(all)
	data.Replays = all[min(data.Pager.Skip(), len(all)):min(data.Pager.Skip()+data.Pager.Size, len(all))]
	return c.render(w, r, "replays.html", page{Title: "Replay", Nav: "Replay", Command: "ops replays list", Data: data})
}

// replayTypes lists the event types that a lane handles.
func (c *console) replayTypes() (types []string) {
	for _, d := range events.Definitions() {
		if slices.ContainsFunc(c.Dispatcher.Lanes(), func(lane string) bool { return c.Dispatcher.Takes(lane, d.Type) }) {
			types = append(types, d.Type)
		}
	}
	return types
}

// Bounds of a dry run on a page: the handlings that are decided, at most a page more; those that are decided at a time; and the lines
// of a list. The terminal has no bounds.
const (
	maxDecided = 1000
	dryRunPage = 100
	maxShown   = 100
)

// planPage is the data of replay_plan.html.
type planPage struct {
	replay.Plan
	Form    replayForm // of the request: it selects the events of this plan
	Force   string     // the address of the plan with the events in quarantine
	Results []planEffects
	Decided int // handlings whose effects are counted
	Appends int
	Acts    int
	Fails   int
	Quiet   int
	quiet   []planEffects
}

// planEffects is what one event would lead to in one lane.
type planEffects struct {
	Lane     string
	Sequence uint64
	Type     string
	worker.Effects
}

// Refused lists the first of the events in quarantine.
func (p planPage) Refused() []replay.Quarantined {
	return p.Quarantined[:min(len(p.Quarantined), maxShown)]
}

// showPlan shows what a replay would do, and changes nothing.
func (c *console) showPlan(w http.ResponseWriter, r *http.Request) error {
	form := formOf(r.URL.Query())
	options, err := form.options(c.Now().UTC())
	if err != nil {
		return err
	}
	plan, err := c.replays.Plan(r.Context(), options)
	if errors.Is(err, replay.ErrBadSelection) || errors.Is(err, replay.ErrUnknownLane) || errors.Is(err, replay.ErrNothingSelected) {
		return fmt.Errorf("%w: %w", errInvalid, err)
	}
	if err != nil {
		return err
	}
	forced := form
	forced.Force = true
	data := planPage{Plan: plan, Form: form.pinned(plan.Selection), Force: "/ops/replay/plan?" + forced.query().Encode()}
	if err := c.dryRunPlan(r, &data); err != nil {
		return err
	}
	return c.render(w, r, "replay_plan.html", page{Title: "Dry run of a replay", Nav: "Replay", Data: data, Command: form.command() + " --dry-run",
		Crumbs: []anchor{{"Replay", "/ops/replay?" + form.query().Encode()}}})
}

// errEnough ends a dry run that has shown enough.
var errEnough = errors.New("enough events shown")

// dryRunPlan finds out what a plan would do, in the order of the log, as ops redeliver --dry-run does.
func (c *console) dryRunPlan(r *http.Request, data *planPage) error {
	dry := c.Dispatcher.NewDryRun()
	err := c.replays.EachPlanned(r.Context(), data.Plan, dryRunPage, func(deliveries []worker.Delivery) error {
		all, err := dry.Handle(r.Context(), deliveries...)
		if err != nil {
			return fmt.Errorf("dry run: %w", err)
		}
		for i, effects := range all {
			data.add(planEffects{deliveries[i].Lane, deliveries[i].Item.Sequence, deliveries[i].Item.Type(), effects})
		}
		if data.Decided >= maxDecided {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	data.Results = append(data.Results, data.quiet...)
	data.Results = data.Results[:min(len(data.Results), maxShown)]
	return nil
}

// add counts a handling. Those without effects come last.
func (p *planPage) add(e planEffects) {
	p.Decided++
	p.Appends, p.Acts, p.Fails = p.Appends+len(e.Facts), p.Acts+len(e.Acts), p.Fails+len(e.Failures)
	if e.Nothing() {
		p.Quiet++
		p.quiet = append(p.quiet, e)
		return
	}
	p.Results = append(p.Results, e)
}

// requestReplay requests a replay with the selection of the form. The next page shows its progress.
func (c *console) requestReplay(r *http.Request, author events.Author) (outcome, error) {
	options, err := formOf(r.PostForm).options(c.Now().UTC())
	if err != nil {
		return outcome{}, err
	}
	plan, err := c.replays.Plan(r.Context(), options)
	if err != nil {
		return outcome{}, err
	}
	id, err := c.replays.Request(r.Context(), plan, author)
	return c.replayOutcome(r, id, fmt.Sprintf("Requested: %s.", plural(plan.Events, "event")), err)
}

// replayOutcome lets the console drive the replay, and links the result of an action to the newest event of the replay.
func (c *console) replayOutcome(r *http.Request, id, text string, err error) (outcome, error) {
	if err != nil {
		return outcome{}, err
	}
	done := outcome{Text: text, Event: c.newestOf(r, events.PrefixReplay, id), To: "/ops/replay/" + url.PathEscape(id)}
	c.drivers.wake() // last, because it appends to the replay
	return done, nil
}

func (c *console) approveReplay(r *http.Request, author events.Author) (outcome, error) {
	id := r.PathValue("id")
	return c.replayOutcome(r, id, "Approved. It runs now.", c.replays.Approve(r.Context(), id, author))
}

func (c *console) stopReplay(r *http.Request, author events.Author) (outcome, error) {
	id := r.PathValue("id")
	return c.replayOutcome(r, id, "Stopped. Lanes still handle what was requested before.", c.replays.Stop(r.Context(), id, author))
}

func (c *console) resumeReplay(r *http.Request, author events.Author) (outcome, error) {
	id := r.PathValue("id")
	return c.replayOutcome(r, id, "Resumed.", c.replays.Resume(r.Context(), id, author))
}

// replayPage is the data of replay.html.
type replayPage struct {
	replay.Replay
	Percent int
	Rate    int           // handled per second, since the page before; 0 when it is not known
	Left    time.Duration // until the end at this rate; 0 when it is not known
	Own     bool          // the reader requested it
	Filter  string        // the selection, in words
}

// Live reports whether the replay may change by itself.
func (p replayPage) Live() bool {
	return p.State == worker.ReplayRunning || p.State == worker.ReplayWaiting || len(p.Waiting) > 0
}

func (c *console) replayPage(r *http.Request) (replayPage, error) {
	one, err := c.replays.Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return replayPage{}, err
	}
	p, _ := c.principal(r)
	data := replayPage{Replay: one, Percent: 100 * one.Done() / max(one.Total(), 1), Own: p.Actor == one.By, Filter: inWords(one.Requested.Selection)}
	if one.State == worker.ReplayFinished {
		data.Percent = 100
	}
	return data, nil
}

// inWords describes a selection.
func inWords(s events.ReplaySelection) string {
	parts := []string{fmt.Sprintf("sequences %d to %d", s.From, s.To)}
	if s.Order != "" {
		parts = append(parts, "order "+s.Order)
	}
	if len(s.Types) > 0 {
		parts = append(parts, strings.Join(s.Types, ", "))
	}
	return strings.Join(parts, "; ") + "; to " + strings.Join(s.Lanes, ", ")
}

// showReplay shows one replay. A redrive of dead letters is on the same subjects, and has a page of its own.
func (c *console) showReplay(w http.ResponseWriter, r *http.Request) error {
	data, err := c.replayPage(r)
	if errors.Is(err, replay.ErrNotFound) {
		if _, redrive := c.Log.RedriveAt(r.Context(), r.PathValue("id")); redrive == nil {
			http.Redirect(w, r, "/ops/deadletters/redrives/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
			return nil
		}
	}
	if err != nil {
		return err
	}
	p := page{Title: "Replay", Nav: "Replay", Data: data, Command: "ops replays show " + data.ID, Crumbs: []anchor{{"Replay", "/ops/replay"}}}
	if data.Live() {
		p.Script = "live.js"
	}
	return c.render(w, r, "replay.html", p)
}

// liveReplay sends the progress of a replay, with the rate since the last time.
func (c *console) liveReplay(r *http.Request, s *stream) error {
	before, done := time.Time{}, 0
	return c.follow(r, s, "replay.html", func() (any, bool, error) {
		data, err := c.replayPage(r)
		if now := c.Now(); err == nil {
			if !before.IsZero() {
				data.estimate(data.Done()-done, now.Sub(before))
			}
			before, done = now, data.Done()
		}
		return data, !data.Live(), err
	})
}

// estimate sets the rate and the time that is left.
func (p *replayPage) estimate(handled int, in time.Duration) {
	if p.Rate = int(float64(handled) / max(in.Seconds(), 0.001)); p.Rate > 0 {
		p.Left = time.Duration(p.Total()-p.Done()) * time.Second / time.Duration(p.Rate)
	}
}
