package sandbox

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// restorer rebuilds the server's memory from the journal. Objects are not
// decoded: their lines' news tell what memory has to know.
type restorer struct {
	server *Server
	now    time.Time
}

// restore reads the journal. Nobody else uses the server yet.
func (s *Server) restore() error {
	r := &restorer{server: s, now: s.config.Now()}
	if err := s.journal.replay(r.line); err != nil {
		return err
	}
	for place, row := range s.events.rows {
		if row.pending {
			s.events.out.push(place)
		}
	}
	return nil
}

// line takes in one line of the transaction that begins at a place.
func (r *restorer) line(at int64, l line) error {
	switch l.kind {
	case lineIntent:
		news, err := readNews[intentFacts](l)
		r.server.installIntent(string(l.id), at, news, nil)
		return err
	case lineCharge:
		news, err := readNews[chargeFacts](l)
		r.server.installCharge(string(l.id), at, news, nil)
		return err
	case lineRefund:
		news, err := readNews[refundFacts](l)
		r.server.installRefund(string(l.id), at, news, nil)
		return err
	case lineEvent:
		return r.event(at, l)
	case lineAnswer:
		return r.answer(at, l)
	case lineDelivered:
		return r.delivered(l)
	}
	return errors.New("unknown kind of line")
}

func (r *restorer) event(at int64, l line) error {
	var note eventNote
	if err := json.Unmarshal(l.note, &note); err != nil {
		return err
	}
	events := &r.server.events
	if place, ok := eventPlace(string(l.id)); !ok || place != len(events.rows) {
		return fmt.Errorf("event is not in place %d", len(events.rows))
	}
	events.rows = append(events.rows, eventRow{at: at, created: uint32(note.Created), kind: events.number(note.Type), pending: note.Hook})
	return nil
}

func (r *restorer) answer(at int64, l line) error {
	var note answerNote
	if err := json.Unmarshal(l.note, &note); err != nil {
		return err
	}
	if !expired(note.Created, r.now) {
		r.server.keys.keep(string(l.id), at, r.now)
	}
	return nil
}

func (r *restorer) delivered(l line) error {
	place, ok := eventPlace(string(l.id))
	if !ok || place >= len(r.server.events.rows) {
		return errors.New("delivery of an event that did not happen")
	}
	r.server.events.rows[place].pending = false
	return nil
}
