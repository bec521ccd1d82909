package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tillstream/events"
	"tillstream/events/replay"
)

// eventData is the data of the page of one event.
type eventData struct {
	eventRow
	headers
	Via      string
	Body     string
	Cause    *replay.Entry // nil when the log does not have it or the event has none
	CausedBy string        // id of the cause
	Effects  []replay.Entry
	Next     uint64
	Previous uint64
}

type header struct{ Name, Value string }

// headers are the headers of a message.
type headers struct {
	Headers []header // of the event: who and why first, then what it belongs to, then its format
	Broker  []header // that the broker reads or adds
}

// headerOrder is the order in which staff need the headers of an event. Others follow.
var headerOrder = []string{events.HeaderType, events.HeaderActor, events.HeaderReason, events.HeaderVia, events.HeaderTime, events.HeaderCorrelationID, events.HeaderCausationID,
	events.HeaderID, events.HeaderSource, events.HeaderRevision, events.HeaderVersion, events.HeaderTopology, events.HeaderContentType, events.HeaderSpecVersion, events.HeaderTraceParent}

func headersOf(m replay.Message) (h headers) {
	names := slices.SortedFunc(maps.Keys(m.Header), func(a, b string) int { return cmp.Or(cmp.Compare(placeOf(a), placeOf(b)), cmp.Compare(a, b)) })
	for _, name := range names {
		for _, value := range m.Header[name] {
			if strings.HasPrefix(name, "Nats-") {
				h.Broker = append(h.Broker, header{name, value})
			} else {
				h.Headers = append(h.Headers, header{name, value})
			}
		}
	}
	return h
}

// placeOf returns the place of a header in the order.
func placeOf(name string) int {
	if i := slices.Index(headerOrder, name); i >= 0 {
		return i
	}
	return len(headerOrder)
}

func (c *console) showEvent(w http.ResponseWriter, r *http.Request) error {
	sequence, err := strconv.ParseUint(r.PathValue("sequence"), 10, 64)
	if err != nil {
		return errNotFound
	}
	m, err := c.Log.Get(r.Context(), sequence)
	if err != nil {
		return err
	}
	data := eventData{eventRow: rowOf(m, c.Now()), Via: m.Header.Get(events.HeaderVia), Body: bodyOf(m.Data), headers: headersOf(m), Previous: sequence - 1}
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

// addCauses finds the cause and the effects of an event in the timeline of its order. Of an event that is about no order it finds the
// cause alone.
func (c *console) addCauses(r *http.Request, data *eventData, cause string) error {
	data.CausedBy = cause
	if events.CheckID(data.Order) != nil {
		return c.addCause(r, data)
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

// addCause finds the cause of an event by its id.
func (c *console) addCause(r *http.Request, data *eventData) error {
	sequence, err := c.eventWithID(r.Context(), data.CausedBy)
	var m replay.Message
	if err == nil {
		m, err = c.Log.Get(r.Context(), sequence)
	}
	if errors.Is(err, replay.ErrNotFound) {
		return nil
	}
	row := rowOf(m, c.Now())
	data.Cause = &replay.Entry{Sequence: sequence, Type: row.Type, Summary: row.Summary}
	return err
}

// pretty indents a body. A body that is not JSON stays as it is.
func pretty(body []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, body, "", "  ") != nil {
		return string(body)
	}
	return out.String()
}
