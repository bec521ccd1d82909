package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"tillstream/events"
	"tillstream/events/replay"
)

// eventData is the data of the page of one event.
type eventData struct {
	eventRow
	Headers  []header
	Body     string
	Cause    *replay.Entry // nil when the log does not have it or the event has none
	CausedBy string        // id of the cause
	Effects  []replay.Entry
	Next     uint64
	Previous uint64
}

type header struct{ Name, Value string }

func (c *console) showEvent(w http.ResponseWriter, r *http.Request) error {
	sequence, err := strconv.ParseUint(r.PathValue("sequence"), 10, 64)
	if err != nil {
		return errNotFound
	}
	m, err := c.Log.Get(r.Context(), sequence)
	if err != nil {
		return err
	}
	data := eventData{eventRow: rowOf(m, c.Now()), Body: pretty(m.Data), Previous: sequence - 1}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		for _, value := range m.Header[name] {
			data.Headers = append(data.Headers, header{name, value})
		}
	}
	if last, err := c.Log.Last(r.Context()); err == nil && sequence < last {
		data.Next = sequence + 1
	}
	if err := c.addCauses(r, &data, m.Header.Get(events.HeaderCausationID)); err != nil {
		return err
	}
	command := ""
	if data.Order != "" {
		command = "ops timeline " + data.Order
	}
	return c.render(w, r, "event.html", page{Title: fmt.Sprintf("Event %d", sequence), Nav: "Events", Command: command, Data: data,
		Crumbs: []anchor{{"Events", "/ops/events"}}})
}

// addCauses finds the cause and the effects of an event in the timeline of its order.
func (c *console) addCauses(r *http.Request, data *eventData, cause string) error {
	data.CausedBy = cause
	if events.CheckID(data.Order) != nil {
		return nil //nolint:nilerr // an event that is about no order has no timeline
	}
	history, err := c.Log.Timeline(r.Context(), data.Order)
	if errors.Is(err, replay.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range history.Entries {
		if cause != "" && e.EventID == cause && e.Stream == events.StreamShop {
			data.Cause = &e
		}
		if data.ID != "" && e.CausationID == data.ID {
			data.Effects = append(data.Effects, e)
		}
	}
	return nil
}

// pretty indents a body. A body that is not JSON stays as it is.
func pretty(body []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, body, "", "  ") != nil {
		return string(body)
	}
	return out.String()
}
