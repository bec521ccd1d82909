package console

import (
	"fmt"
	"net/http"
	"strconv"

	"tillstream/events"
	"tillstream/events/replay"
)

// voidPage is the data of event_void.html.
type voidPage struct {
	replay.Voidable
	Row eventRow
}

// voidable returns the event of an address.
func (c *console) voidable(r *http.Request) (replay.Voidable, error) {
	sequence, err := strconv.ParseUint(r.PathValue("sequence"), 10, 64)
	if err != nil {
		return replay.Voidable{}, errNotFound
	}
	return c.Log.Voidable(r.Context(), sequence)
}

// showVoid shows what declaring an event void would mean, and changes nothing.
func (c *console) showVoid(w http.ResponseWriter, r *http.Request) error {
	event, err := c.voidable(r)
	if err != nil {
		return err
	}
	title, sequence := fmt.Sprintf("Void event %d", event.Message.Sequence), event.Message.Sequence
	return c.render(w, r, "event_void.html", page{Title: title, Nav: "Events", Data: voidPage{event, rowOf(event.Message, c.Now())},
		Command: fmt.Sprintf("ops void %d --dry-run --reason TEXT", sequence), Crumbs: []anchor{{"Events", "/ops/events"}, {fmt.Sprintf("Event %d", sequence), eventPage(sequence)}}})
}

// declareVoid makes every process skip an event.
func (c *console) declareVoid(r *http.Request, author events.Author) (outcome, error) {
	if author.Reason == "" {
		return outcome{}, errNoReason
	}
	event, err := c.voidable(r)
	if err != nil {
		return outcome{}, err
	}
	already, err := c.Log.DeclareVoid(r.Context(), event, r.PostForm.Get("force") != "", author)
	if err != nil {
		return outcome{}, err
	}
	sequence := event.Message.Sequence
	done := outcome{Text: fmt.Sprintf("Event %d is void: every process skips it.", sequence), Event: c.newestOf(r, events.PrefixVoid, fmt.Sprint(sequence)), To: eventPage(sequence)}
	if already {
		done.Text = fmt.Sprintf("Event %d was void already.", sequence)
	}
	return done, nil
}
