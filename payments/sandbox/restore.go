package sandbox

import (
	"encoding/json"
	"fmt"
)

// restorer rebuilds the server's memory from the journal. Objects are not
// decoded: their lines' news tell what memory has to know.
type restorer struct {
	server *Server
	types  map[string]string // event types, so that each is in memory once
}

// restore reads the journal. Nobody else uses the server yet.
func (s *Server) restore() error {
	r := &restorer{server: s, types: make(map[string]string)}
	if err := s.journal.replay(r.line); err != nil {
		return err
	}
	for place, row := range s.events.rows {
		if row.pending {
			s.events.out.push(place)
		}
	}
	s.keys.forget(s.config.Now())
	return nil
}

// line takes in one committed line.
func (r *restorer) line(e entry) error {
	switch e.Kind {
	case lineIntent:
		news, err := readNews[intentFacts](e)
		r.server.installIntent(e.ID, e.line, news, nil)
		return err
	case lineCharge:
		news, err := readNews[chargeFacts](e)
		r.server.installCharge(e.ID, e.line, news, nil)
		return err
	case lineRefund:
		news, err := readNews[refundFacts](e)
		r.server.installRefund(e.ID, e.line, news, nil)
		return err
	case lineEvent:
		return r.event(e)
	case lineAnswer:
		return r.answer(e)
	case lineDelivered:
		return r.delivered(e)
	}
	return fmt.Errorf("unknown kind of line %q", e.Kind)
}

func (r *restorer) event(e entry) error {
	var note eventNote
	if err := json.Unmarshal(e.Note, &note); err != nil {
		return err
	}
	if place, ok := eventPlace(e.ID); !ok || place != len(r.server.events.rows) {
		return fmt.Errorf("event is not in place %d", len(r.server.events.rows))
	}
	kind, ok := r.types[note.Type]
	if !ok {
		kind = note.Type
		r.types[kind] = kind
	}
	r.server.events.rows = append(r.server.events.rows, eventRow{
		line: e.line, object: span{at: e.at + note.At, size: note.Size}, created: note.Created, kind: kind, pending: note.Hook,
	})
	return nil
}

func (r *restorer) answer(e entry) error {
	var note answerNote
	if err := json.Unmarshal(e.Note, &note); err != nil {
		return err
	}
	body := e.data
	if note.Size > 0 {
		body = span{at: e.at + note.At, size: note.Size}
	}
	a := &keyAnswer{key: e.ID, created: note.Created, status: note.Status, body: body}
	if copy(a.print[:], note.Print) != len(a.print) {
		return fmt.Errorf("fingerprint has %d bytes", len(note.Print))
	}
	r.server.keys.keep(a)
	return nil
}

func (r *restorer) delivered(e entry) error {
	place, ok := eventPlace(e.ID)
	if !ok || place >= len(r.server.events.rows) {
		return fmt.Errorf("delivery of an event that did not happen")
	}
	r.server.events.rows[place].pending = false
	return nil
}
