package sandbox

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tillstream/events/embedded/journal"
)

// event reports a change of an object, with the object after the change.
type event struct {
	ID              string    `json:"id"`
	Object          string    `json:"object"`
	APIVersion      string    `json:"api_version"`
	Created         int64     `json:"created"`
	Data            eventData `json:"data"`
	Livemode        bool      `json:"livemode"`
	PendingWebhooks int       `json:"pending_webhooks"`
	Request         any       `json:"request"` // an eventRequest; its id alone in old API versions
	Type            string    `json:"type"`
}

type eventData struct {
	Object json.RawMessage `json:"object"`
}

type eventRequest struct {
	ID             text `json:"id"`
	IdempotencyKey text `json:"idempotency_key"`
}

// eventNote is the note of an event in the journal. At and Size locate the snapshot of the object, which is the data of the
// object's line in the same transaction.
type eventNote struct {
	Type    string `json:"type"`
	Created int64  `json:"created"`
	Request string `json:"request,omitempty"`
	Key     string `json:"key,omitempty"`
	// Version is the event's API version if it is not APIVersion.
	Version string `json:"version,omitempty"`
	// Hook is set for an event to deliver.
	Hook bool  `json:"hook,omitempty"`
	At   int64 `json:"at"`
	Size int32 `json:"size"`
}

// eventRow locates an event. It is small, because every payment ever made has several.
type eventRow struct {
	at      int64 // position of its transaction
	created uint32
	kind    uint16 // the number of its type
	pending bool   // not delivered yet
}

// eventLog has all events in their order.
type eventLog struct {
	rows    []eventRow
	kinds   []string // the event types by number
	numbers map[string]uint16
	queue   *deliveryQueue
}

func (l *eventLog) add(row eventRow) {
	l.rows = append(l.rows, row)
	if row.pending {
		l.queue.push(len(l.rows) - 1)
	}
}

// number returns the number of a type, and assigns one to a new type.
func (l *eventLog) number(kind string) uint16 {
	number, ok := l.numbers[kind]
	if !ok {
		number = uint16(len(l.kinds))
		l.kinds = append(l.kinds, kind)
		l.numbers[kind] = number
	}
	return number
}

// emit records an event of an object that the transaction has put.
func (t *tx) emit(kind string, object any) {
	_, snapshot, ok := t.state(object)
	if !ok {
		t.fail(fmt.Errorf("event %s of an object that was not put", kind))
		return
	}
	t.emitSpan(kind, snapshot, "")
	t.emitFaulty(kind, snapshot)
}

// emitSpan records an event with a snapshot that the transaction has written, in an API version, empty for APIVersion.
func (t *tx) emitSpan(kind string, snapshot span, version string) {
	note := eventNote{
		Type: kind, Created: t.now.Unix(), Request: t.call.id, Key: t.call.key, Version: version,
		Hook: t.server.subscribed(kind), At: snapshot.at, Size: snapshot.size,
	}
	events := &t.server.events
	t.line(lineEvent, newEventID(len(events.rows)+len(t.events)), note, nil)
	t.events = append(t.events, eventRow{created: uint32(note.Created), kind: events.number(kind), pending: note.Hook})
}

// readEvent reads an event from the journal. It needs no lock, because row is a copy and the journal's bytes do not change.
func (s *Server) readEvent(index int, row eventRow) (*event, error) {
	written, err := s.readRecord(row.at)
	if err != nil {
		return nil, err
	}
	l, err := written.last(func(l line) bool {
		i, ok := eventIndex(string(l.id))
		return ok && i == index && l.kind == lineEvent
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
		return nil, fmt.Errorf("%w: event %d in the transaction at %d: %w", journal.ErrDamaged, index, row.at, err)
	}
	e := &event{
		ID: string(l.id), Object: "event", APIVersion: APIVersion, Created: note.Created,
		Data: eventData{Object: object}, Type: note.Type,
		Request: eventRequest{ID: text(note.Request), IdempotencyKey: text(note.Key)},
	}
	if note.Version != "" {
		e.APIVersion, e.Request = note.Version, text(note.Request)
	}
	if row.pending {
		e.PendingWebhooks = 1
	}
	return e, nil
}

// getEvent answers GET /v1/events/{id}.
func getEvent(t *tx, c *call) (any, *apiError) {
	index, ok := eventIndex(c.target)
	if !ok || index >= len(t.server.events.rows) {
		return nil, notFound("event", "id", c.target)
	}
	e, err := t.server.readEvent(index, t.server.events.rows[index])
	if err != nil {
		return nil, t.internalError(err)
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
	ofType := typeMatcher(c.form.list("types"))
	if one, ok := c.form["type"]; ok {
		ofType = typeMatcher([]string{one})
	}
	rows, kinds := t.server.events.rows, t.server.events.kinds
	match := func(i int) bool { return created.includes(rows[i].created) && ofType(kinds[rows[i].kind]) }
	indexes, more, problem := readPage(c.form, len(rows), eventIndex, match)
	if problem != nil {
		return nil, problem
	}
	shown := make([]any, 0, len(indexes))
	for _, i := range indexes {
		e, err := t.server.readEvent(i, rows[i])
		if err != nil {
			return nil, t.internalError(err)
		}
		shown = append(shown, e)
	}
	return newPage(c.path, shown, more), nil
}

func newRequestID() string { return "req_" + randomText(14) }

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// randomText returns n letters and digits that cannot be guessed, although the modulus slightly prefers early ones.
func randomText(n int) string {
	raw := make([]byte, n)
	rand.Read(raw) // never fails, by its documentation
	for i, b := range raw {
		raw[i] = alphabet[int(b)%len(alphabet)]
	}
	return string(raw)
}

// newID returns an id like Stripe's: a prefix for the kind, an underscore, and 24 letters and digits.
func newID(prefix string) string {
	return prefix + "_3" + randomText(23)
}

// An event's id contains the event's position in the event log, so no map from ids to positions is needed: evt_1, ten digits,
// fourteen random letters and digits.
const (
	eventPrefix = "evt_1"
	eventDigits = 10
)

func newEventID(index int) string {
	digits := strconv.Itoa(index)
	return eventPrefix + strings.Repeat("0", max(0, eventDigits-len(digits))) + digits + randomText(14)
}

// eventIndex returns the index in an event's id. The caller checks that the event with that index exists and has that id.
func eventIndex(id string) (int, bool) {
	rest, ok := strings.CutPrefix(id, eventPrefix)
	if !ok || len(rest) < eventDigits {
		return 0, false
	}
	index, err := strconv.ParseUint(rest[:eventDigits], 10, 32)
	return int(index), err == nil
}
