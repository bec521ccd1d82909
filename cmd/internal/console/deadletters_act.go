package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/events/worker"
)

// letterChoice is the dead letters of an action: all of a cause, or some by their numbers.
type letterChoice struct {
	Cause   string
	Numbers []uint64
}

// choiceOf reads the fields "cause" and "number".
func choiceOf(form url.Values) (choice letterChoice, err error) {
	choice.Cause = form.Get("cause")
	for _, text := range form["number"] {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return choice, fmt.Errorf("%w: %.40q is not the number of a dead letter", errInvalid, text)
		}
		choice.Numbers = append(choice.Numbers, n)
	}
	if (choice.Cause == "") == (len(choice.Numbers) == 0) {
		return choice, fmt.Errorf("%w: choose dead letters, or one cause", errInvalid)
	}
	return choice, nil
}

func (l letterChoice) selection() replay.Selection {
	return replay.Selection{Fingerprint: l.Cause, Numbers: l.Numbers}
}

// query is the choice as fields of an address.
func (l letterChoice) query() string {
	values := url.Values{}
	if l.Cause != "" {
		values.Set("cause", l.Cause)
	}
	for _, n := range l.Numbers {
		values.Add("number", fmt.Sprint(n))
	}
	return values.Encode()
}

// flags is the choice as arguments of ops.
func (l letterChoice) flags() string {
	if l.Cause != "" {
		return "--fingerprint " + shellWord(l.Cause)
	}
	numbers := make([]string, len(l.Numbers))
	for i, n := range l.Numbers {
		numbers[i] = fmt.Sprint(n)
	}
	return strings.Join(numbers, " ")
}

// maxDryRun is the most dead letters of which a dry run shows the effects: each is decided in full.
const maxDryRun = 100

// letterDryRun is the data of deadletter_dryrun.html.
type letterDryRun struct {
	letterChoice
	Total   int
	Results []letterEffects
	Fails   int // would fail again
	Quiet   int // would change nothing
	Flags   string
}

// letterEffects is what redriving one event would do.
type letterEffects struct {
	Letter   replay.DeadLetter
	Sequence uint64
	worker.Effects
}

// Nothing reports whether the event would change nothing.
func (e letterEffects) Nothing() bool { return len(e.Facts)+len(e.Acts)+len(e.Failures) == 0 }

// showLetterDryRun shows what redriving would do now, and changes nothing.
func (c *console) showLetterDryRun(w http.ResponseWriter, r *http.Request) error {
	choice, err := choiceOf(r.URL.Query())
	if err != nil {
		return err
	}
	letters, _, err := c.Log.Redrivable(r.Context(), choice.selection(), false)
	if errors.Is(err, replay.ErrSettled) || errors.Is(err, replay.ErrQuarantined) {
		return fmt.Errorf("%w: %w", errInvalid, err)
	}
	if err != nil {
		return err
	}
	data := letterDryRun{letterChoice: choice, Total: len(letters), Flags: choice.query()}
	for _, d := range letters[:min(len(letters), maxDryRun)] {
		if err := c.dryRunLetter(r, d, &data); err != nil {
			return err
		}
	}
	return c.render(w, r, "deadletter_dryrun.html", page{Title: "Dry run of a redrive", Nav: "Dead letters", Data: data,
		Command: "ops deadletters redrive " + choice.flags() + " --dry-run", Crumbs: []anchor{{"Dead letters", "/ops/deadletters"}}})
}

func (c *console) dryRunLetter(r *http.Request, d replay.DeadLetter, data *letterDryRun) error {
	messages, err := c.Log.Events(r.Context(), d)
	if err != nil {
		return fmt.Errorf("dry run of dead letter %d: %w", d.Number, err)
	}
	for _, m := range messages {
		delivery := worker.Delivery{Item: &worker.Item{Message: m}, Lane: d.Worker, Attempt: d.Attempt + 1}
		effects, err := c.Dispatcher.Dispatch(r.Context(), delivery, true)
		if err != nil {
			return fmt.Errorf("dry run of dead letter %d: %w", d.Number, err)
		}
		result := letterEffects{d, m.Sequence, effects}
		if len(effects.Failures) > 0 {
			data.Fails++
		}
		if result.Nothing() {
			data.Quiet++
		}
		data.Results = append(data.Results, result)
	}
	return nil
}

// redriveLetters requests that lanes handle dead letters again. The next page shows the progress.
func (c *console) redriveLetters(r *http.Request, author events.Author) (outcome, error) {
	choice, err := choiceOf(r.PostForm)
	if err != nil {
		return outcome{}, err
	}
	letters, leftOut, err := c.Log.Redrivable(r.Context(), choice.selection(), false)
	if err != nil {
		return outcome{}, err
	}
	redrive, err := c.Log.Redrive(r.Context(), letters, author)
	if err != nil {
		return outcome{}, err
	}
	state, err := c.Log.RedriveAt(r.Context(), redrive.ID)
	if err != nil {
		return outcome{}, err
	}
	text := fmt.Sprintf("Requested: %s.", plural(len(letters), "dead letter"))
	if n := len(leftOut); n > 0 {
		text += fmt.Sprintf(" Left out: %s handled again three times already; redrive each by itself.", plural(n, "dead letter"))
	}
	return outcome{Text: text, Event: state.Sequence, To: "/ops/deadletters/redrives/" + redrive.ID}, nil
}

// discardLetters settles dead letters without handling their events.
func (c *console) discardLetters(r *http.Request, author events.Author) (outcome, error) {
	choice, err := choiceOf(r.PostForm)
	if err != nil {
		return outcome{}, err
	}
	letters, err := c.Log.OpenDeadLetters(r.Context(), choice.selection())
	if err != nil {
		return outcome{}, err
	}
	n, err := c.Log.Discard(r.Context(), letters, author)
	if err != nil {
		return outcome{}, fmt.Errorf("discarded %d of %d: %w", n, len(letters), err)
	}
	done := outcome{Text: fmt.Sprintf("Discarded: %s.", plural(n, "dead letter")), Link: anchor{"What the audit says", "/ops/audit?type=worker.discarded"},
		To: "/ops/deadletters?state=discarded"}
	if len(letters) == 1 {
		done.To = fmt.Sprintf("/ops/deadletters/%d", letters[0].Number)
	}
	return done, nil
}

// redrivePage is the data of redrive.html.
type redrivePage struct {
	replay.RedriveState
	Percent int
	Shown   []replay.RedriveOutcome // failures first
}

// maxOutcomes is the most outcomes that the page of a redrive lists.
const maxOutcomes = 200

func (c *console) redrivePage(r *http.Request) (redrivePage, error) {
	state, err := c.Log.RedriveAt(r.Context(), r.PathValue("id"))
	if err != nil {
		return redrivePage{}, err
	}
	data := redrivePage{RedriveState: state, Percent: 100 * state.Done() / max(len(state.Outcomes), 1)}
	for _, wanted := range []string{"failed", "waiting", "redriven", "discarded"} {
		for _, o := range state.Outcomes {
			if o.Result == wanted && len(data.Shown) < maxOutcomes {
				data.Shown = append(data.Shown, o)
			}
		}
	}
	return data, nil
}

// showRedrive shows what has become of a redrive.
func (c *console) showRedrive(w http.ResponseWriter, r *http.Request) error {
	data, err := c.redrivePage(r)
	if err != nil {
		return err
	}
	p := page{Title: "Redrive", Nav: "Dead letters", Data: data, Command: "ops audit --entity " + data.ID,
		Crumbs: []anchor{{"Dead letters", "/ops/deadletters"}}}
	if data.Waiting > 0 {
		p.Script = "live.js"
	}
	return c.render(w, r, "redrive.html", p)
}

// liveRedrive sends the progress of a redrive.
func (c *console) liveRedrive(r *http.Request, s *stream) error {
	return c.follow(r, s, "redrive.html", func() (any, bool, error) {
		data, err := c.redrivePage(r)
		return data, data.Waiting == 0, err
	})
}
