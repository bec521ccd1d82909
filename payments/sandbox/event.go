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

// eventRow is what memory keeps of an event.
type eventRow struct {
	line, object span
	created      int64
	kind         string
	pending      bool // still to be delivered
}

// moved turns spans relative to a transaction into spans of the journal.
func (r eventRow) moved(start int64) eventRow {
	r.line, r.object = r.line.moved(start), r.object.moved(start)
	return r
}

// eventLog is all events in the order they happened; an event's id tells its
// place.
type eventLog struct {
	rows []eventRow
	out  *outbox
}

func (l *eventLog) add(row eventRow) {
	l.rows = append(l.rows, row)
	if row.pending {
		l.out.push(len(l.rows) - 1)
	}
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
	encoded, err := json.Marshal(note)
	if err != nil {
		t.fail(err)
		return
	}
	id := newEventID(len(t.server.events.rows) + len(t.events))
	line, _ := t.line(lineHead{Kind: lineEvent, ID: id, Note: encoded}, nil)
	t.events = append(t.events, eventRow{line: line, object: snapshot, created: note.Created, kind: kind, pending: note.Hook})
}

// readEvent composes an event from the journal. It needs no lock: rows are
// values and committed bytes do not change.
func (s *Server) readEvent(row eventRow) (*event, error) {
	line, err := s.journal.read(row.line)
	if err != nil {
		return nil, err
	}
	head, err := parseLine(line, row.line.at)
	if err != nil {
		return nil, fmt.Errorf("decode event line at %d: %w", row.line.at, err)
	}
	var note eventNote
	if err := json.Unmarshal(head.Note, &note); err != nil {
		return nil, fmt.Errorf("decode event %s: %w", head.ID, err)
	}
	object, err := s.journal.read(row.object)
	if err != nil {
		return nil, err
	}
	e := &event{
		ID: head.ID, Object: "event", APIVersion: APIVersion, Created: note.Created,
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
	e, err := t.server.readEvent(t.server.events.rows[place])
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
	rows := t.server.events.rows
	keep := func(i int) bool { return created.includes(rows[i].created) && wanted(rows[i].kind) }
	places, more, problem := readPage(c.form, len(rows), eventPlace, keep)
	if problem != nil {
		return nil, problem
	}
	page := newPage(c.path, len(places), more)
	for _, i := range places {
		e, err := t.server.readEvent(rows[i])
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
