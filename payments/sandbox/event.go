package sandbox

import (
	"encoding/json"
	"fmt"
)

// event is something that happened, with the object as it was right then.
type event struct {
	ID              string       `json:"id"`
	Object          string       `json:"object"`
	APIVersion      string       `json:"api_version"`
	Created         int64        `json:"created"`
	Data            eventData    `json:"data"`
	Livemode        bool         `json:"livemode"`
	PendingWebhooks int          `json:"pending_webhooks"`
	Request         eventRequest `json:"request"`
	Type            string       `json:"type"`
}

type eventData struct {
	Object json.RawMessage `json:"object"`
}

type eventRequest struct {
	ID             text `json:"id"`
	IdempotencyKey text `json:"idempotency_key"`
}

// eventNote is an event in the journal: the snapshot is not repeated, it is
// the object's line in the same transaction.
type eventNote struct {
	Type    string `json:"type"`
	Created int64  `json:"created"`
	Request string `json:"request,omitempty"`
	Key     string `json:"key,omitempty"`
	// Hook says that the event is to be delivered.
	Hook bool  `json:"hook,omitempty"`
	At   int64 `json:"at"`
	Size int32 `json:"size"`
}

// eventRow is what memory keeps of an event. There are several for every
// payment ever made, so it is small.
type eventRow struct {
	at      int64 // where the transaction begins that it is part of
	created uint32
	kind    uint16 // the number of its type
	pending bool   // still to be delivered
}

// eventLog is all events in the order they happened; an event's id tells its
// place.
type eventLog struct {
	rows    []eventRow
	kinds   []string // the types there are, by number
	numbers map[string]uint16
	out     *outbox
}

func (l *eventLog) add(row eventRow) {
	l.rows = append(l.rows, row)
	if row.pending {
		l.out.push(len(l.rows) - 1)
	}
}

// number returns what stands for a type in rows.
func (l *eventLog) number(kind string) uint16 {
	number, ok := l.numbers[kind]
	if !ok {
		number = uint16(len(l.kinds))
		l.kinds = append(l.kinds, kind)
		l.numbers[kind] = number
	}
	return number
}

// emit says that something happened to an object that was just put.
func (t *tx) emit(kind string, object any) {
	_, snapshot, ok := t.state(object)
	if !ok {
		t.fail(fmt.Errorf("event %s tells of an object that was not put", kind))
		return
	}
	note := eventNote{
		Type: kind, Created: t.now.Unix(), Request: t.call.id, Key: t.call.key,
		Hook: t.server.subscribed(kind), At: snapshot.at, Size: snapshot.size,
	}
	events := &t.server.events
	t.line(lineEvent, newEventID(len(events.rows)+len(t.events)), note, nil)
	t.events = append(t.events, eventRow{created: uint32(note.Created), kind: events.number(kind), pending: note.Hook})
}

// readEvent composes an event from the journal. It needs no lock: rows are
// values and committed bytes do not change.
func (s *Server) readEvent(place int, row eventRow) (*event, error) {
	written, err := s.journal.read(row.at)
	if err != nil {
		return nil, err
	}
	l, err := written.last(func(l line) bool {
		at, ok := eventPlace(string(l.id))
		return ok && at == place && l.kind == lineEvent
	})
	var note eventNote
	var object []byte
	if err == nil {
		err = json.Unmarshal(l.note, &note)
	}
	if err == nil {
		object, err = written.part(note.At, note.Size)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: event %d in the transaction at byte %d: %w", ErrJournal, place, row.at, err)
	}
	e := &event{
		ID: string(l.id), Object: "event", APIVersion: APIVersion, Created: note.Created,
		Data: eventData{Object: object}, Type: note.Type,
		Request: eventRequest{ID: text(note.Request), IdempotencyKey: text(note.Key)},
	}
	if row.pending {
		e.PendingWebhooks = 1
	}
	return e, nil
}

// getEvent answers GET /v1/events/{id}.
func getEvent(t *tx, c *call) (any, *apiError) {
	place, ok := eventPlace(c.target)
	if !ok || place >= len(t.server.events.rows) {
		return nil, notFound("event", "id", c.target)
	}
	e, err := t.server.readEvent(place, t.server.events.rows[place])
	if err != nil {
		return nil, t.broken(err)
	}
	if e.ID != c.target {
		return nil, notFound("event", "id", c.target)
	}
	return e, nil
}

// listEvents answers GET /v1/events, newest first.
func listEvents(t *tx, c *call) (any, *apiError) {
	created, problem := readTimeRange(c.form, "created")
	if problem != nil {
		return nil, problem
	}
	wanted := matcher(c.form.list("types"))
	if one, ok := c.form["type"]; ok {
		wanted = matcher([]string{one})
	}
	rows, kinds := t.server.events.rows, t.server.events.kinds
	keep := func(i int) bool { return created.includes(rows[i].created) && wanted(kinds[rows[i].kind]) }
	places, more, problem := readPage(c.form, len(rows), eventPlace, keep)
	if problem != nil {
		return nil, problem
	}
	page := newPage(c.path, len(places), more)
	for _, i := range places {
		e, err := t.server.readEvent(i, rows[i])
		if err != nil {
			return nil, t.broken(err)
		}
		page.Data = append(page.Data, e)
	}
	return page, nil
}

// broken logs why the sandbox itself failed and answers 500.
func (t *tx) broken(err error) *apiError {
	t.server.config.Logger.Error("sandbox request", "request", t.call.id, "path", t.call.path, "error", err)
	return internalError()
}
