package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tillstream/cmd/internal/entities"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/replay"
)

func (c *console) deadLetterRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/deadletters", c.view(api.ReadAll, c.showLetters))
	mux.Handle("GET /ops/deadletters/{number}", c.view(api.ReadAll, c.showLetter))
	mux.Handle("GET /ops/deadletters/dryrun", c.view(api.ReadAll, c.showLetterDryRun))
	mux.Handle("GET /ops/deadletters/redrives/{id}", c.view(api.ReadAll, c.showRedrive))
	mux.Handle("POST /ops/deadletters/redrive", c.act(api.SettleDeadLetters, c.redriveLetters))
	mux.Handle("POST /ops/deadletters/discard", c.act(api.SettleDeadLetters, c.discardLetters))
}

// lettersPage is the data of deadletters.html.
type lettersPage struct {
	State, Cause string // the filter
	States       []letterTab
	Causes       []letterCause
	Letters      []replay.DeadLetter
	Total        int
	Pager        pager
	Selected     string // command for the open dead letters of the chosen cause
}

// letterTab is a link to the dead letters in one state.
type letterTab struct {
	Name, To string
	Count    int
	Current  bool
}

// letterCause is one row of the histogram.
type letterCause struct {
	replay.Cause
	Open    int
	To      string
	Percent int   // of the most frequent cause
	Bars    []bar // how many there were in each part of the time
}

// bar is one column of a small histogram.
type bar struct{ X, Y, Height int }

// bars is the number of columns of a small histogram, and barHeight the height of the highest.
const (
	bars      = 24
	barHeight = 20
)

// showLetters shows the dead letters: how many there are of each cause, then each one.
func (c *console) showLetters(w http.ResponseWriter, r *http.Request) error {
	all, err := c.Log.DeadLetters(r.Context(), 0)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	data := lettersPage{State: cmp.Or(query.Get("state"), string(replay.StateOpen)), Cause: query.Get("cause"), Pager: pagerOf(r)}
	data.States = letterTabs(all, data.State)
	data.Causes = letterCauses(lettersIn(all, data.State, ""), data.State, c.Now())
	chosen := lettersIn(all, data.State, data.Cause)
	slices.Reverse(chosen)
	data.Total, data.Pager.Total = len(chosen), len(chosen)
	data.Letters = chosen[min(data.Pager.Skip(), len(chosen)):min(data.Pager.Skip()+data.Pager.Size, len(chosen))]
	command := "ops deadletters list"
	if data.State != string(replay.StateOpen) {
		command += " --state " + shellWord(data.State)
	}
	return c.render(w, r, "deadletters.html", page{Title: "Dead letters", Nav: "Dead letters", Command: command, Data: data})
}

// lettersIn returns the dead letters in a state, or in "all", with a cause, or with any if it is "".
func lettersIn(all []replay.DeadLetter, state, cause string) []replay.DeadLetter {
	return slices.DeleteFunc(slices.Clone(all), func(d replay.DeadLetter) bool {
		return state != "all" && string(d.State) != state || cause != "" && d.Fingerprint != cause
	})
}

func letterTabs(all []replay.DeadLetter, current string) (tabs []letterTab) {
	counts := map[string]int{"all": len(all)}
	for _, d := range all {
		counts[string(d.State)]++
	}
	for _, name := range []string{string(replay.StateOpen), string(replay.StateRedriven), string(replay.StateDiscarded), "all"} {
		tabs = append(tabs, letterTab{Name: name, To: "/ops/deadletters?state=" + name, Count: counts[name], Current: name == current})
	}
	return tabs
}

// letterCauses counts dead letters by fingerprint, with a histogram of when they were opened for each.
func letterCauses(letters []replay.DeadLetter, state string, now time.Time) (causes []letterCause) {
	if len(letters) == 0 {
		return nil
	}
	first := letters[0].Stored
	span := max(now.Sub(first), time.Second)
	byCause := map[string][]int{}
	open := map[string]int{}
	for _, d := range letters {
		if byCause[d.Fingerprint] == nil {
			byCause[d.Fingerprint] = make([]int, bars)
		}
		at := int(d.Stored.Sub(first) * bars / span)
		byCause[d.Fingerprint][min(max(at, 0), bars-1)]++
		if d.State == replay.StateOpen {
			open[d.Fingerprint]++
		}
	}
	counted := replay.Causes(letters)
	for _, cause := range counted {
		causes = append(causes, letterCause{Cause: cause, Open: open[cause.Fingerprint], Percent: max(100*cause.Count/counted[0].Count, 1),
			To: "/ops/deadletters?" + url.Values{"state": {state}, "cause": {cause.Fingerprint}}.Encode(), Bars: barsOf(byCause[cause.Fingerprint])})
	}
	return causes
}

// barsOf draws counts as columns of which the highest has barHeight.
func barsOf(counts []int) (drawn []bar) {
	most := max(slices.Max(counts), 1)
	for i, n := range counts {
		if n > 0 {
			height := max(n*barHeight/most, 2)
			drawn = append(drawn, bar{X: i * 5, Y: barHeight - height, Height: height})
		}
	}
	return drawn
}

// letterPage is the data of deadletter.html.
type letterPage struct {
	replay.DeadLetter
	headers
	Body    string
	Lost    bool // the log no longer has the event
	States  []entityStates
	History []letterStep
	Stack   string // what follows the first line of the error
	Summary string // its first line
}

// letterStep is one message of a dead letter.
type letterStep struct {
	At                   time.Time
	Text, By, Why, Place string
}

// showLetter shows one dead letter: the event, the state that it met, the error, and what was done about it.
func (c *console) showLetter(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.ParseUint(r.PathValue("number"), 10, 64)
	if err != nil {
		return errNotFound
	}
	d, history, err := c.Log.DeadLetterAt(r.Context(), number)
	if err != nil {
		return err
	}
	data := letterPage{DeadLetter: d, History: letterSteps(history)}
	data.Summary, data.Stack, _ = strings.Cut(strings.TrimSpace(d.Error), "\n")
	m, err := c.Log.Original(r.Context(), d)
	if data.Lost = err != nil; err == nil {
		data.headers, data.Body = headersOf(m), bodyOf(m.Data)
	}
	states, err := entities.StatesMet(r.Context(), c.Log, d, m, c.Now())
	if err != nil {
		return err
	}
	data.States = statesOf(states)
	return c.render(w, r, "deadletter.html", page{Title: fmt.Sprintf("Dead letter %d", number), Nav: "Dead letters", Data: data,
		Command: fmt.Sprintf("ops deadletters show %d", number), Crumbs: []anchor{{"Dead letters", "/ops/deadletters"}}})
}

// bodyOf is the body of a message, indented if it is JSON.
func bodyOf(data []byte) string {
	if !utf8.Valid(data) {
		return fmt.Sprintf("%q", data)
	}
	return pretty(data)
}

func letterSteps(history []replay.Message) (steps []letterStep) {
	for _, m := range history {
		step := letterStep{At: m.Stored, Text: "a message that cannot be read"}
		if e, err := m.Event(); err == nil {
			step.Text, step.By, step.Why, step.Place = replay.Summary(e), e.Actor, e.Reason, e.Via
			if dead, ok := e.Payload.(events.DeadLettered); ok {
				first, _, _ := strings.Cut(dead.Error, "\n")
				step.Text = fmt.Sprintf("attempt %d failed: %s", dead.Attempt, first)
			}
		}
		steps = append(steps, step)
	}
	return steps
}
