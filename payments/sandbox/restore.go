package sandbox

import (
	"errors"
	"fmt"

	jsonv2 "github.com/go-json-experiment/json"
)

// restore applies one stored transaction to memory. It decodes no objects, because the facts in their notes are enough.
func (s *Server) restore(at int64, r []byte) error {
	for l, err := range record(r).lines() {
		if err == nil {
			err = s.restoreLine(at, l)
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", l.kind, l.id, err)
		}
	}
	return nil
}

func (s *Server) restoreLine(at int64, l line) error {
	switch l.kind {
	case lineIntent:
		facts, err := readFacts[intentFacts](l)
		s.installIntent(string(l.id), at, facts, nil)
		return err
	case lineCharge:
		s.charges.put(string(l.id), at, nil)
		return nil
	case lineBalance:
		facts, err := readFacts[balanceFacts](l)
		s.installBalance(string(l.id), at, facts, nil)
		return err
	case lineDispute:
		facts, err := readFacts[disputeFacts](l)
		s.installDispute(string(l.id), at, facts, nil)
		return err
	case linePayout:
		facts, err := readFacts[payoutFacts](l)
		s.installPayout(string(l.id), at, facts, nil)
		return err
	case lineRefund:
		facts, err := readFacts[refundFacts](l)
		s.installRefund(string(l.id), at, facts, nil)
		return err
	case lineEvent:
		return s.restoreEvent(at, l)
	case lineAnswer:
		return s.restoreAnswer(at, l)
	case lineDelivered:
		index, ok := eventIndex(string(l.id))
		if !ok || index >= len(s.events.rows) {
			return errors.New("delivered event is not in the journal")
		}
		s.events.rows[index].pending = false
		return nil
	case lineTask:
		return s.restoreTask(l)
	case lineClock:
		return s.restoreClock(l)
	case lineForeign:
		return nil // only its event refers to it
	}
	return errors.New("unknown kind of line")
}

func (s *Server) restoreEvent(at int64, l line) error {
	var note eventNote
	if err := jsonv2.Unmarshal(l.note, &note); err != nil {
		return err
	}
	if index, ok := eventIndex(string(l.id)); !ok || index != len(s.events.rows) {
		return fmt.Errorf("event does not have index %d", len(s.events.rows))
	}
	s.events.rows = append(s.events.rows, eventRow{at: at, created: uint32(note.Created), kind: s.events.number(note.Type), pending: note.Hook})
	return nil
}

func (s *Server) restoreAnswer(at int64, l line) error {
	var note answerNote
	if err := jsonv2.Unmarshal(l.note, &note); err != nil {
		return err
	}
	if now := s.now(); !expired(note.Created, now) {
		s.keys.put(string(l.id), at, now)
	}
	return nil
}
