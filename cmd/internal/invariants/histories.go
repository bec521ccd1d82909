package invariants

import (
	"fmt"
	"strings"

	"tillstream/cmd/internal/output"
	"tillstream/events"
	"tillstream/events/replay"
)

// histories follow the revisions of all entities, as every process does when it folds one (I9). An entity with a missing or unreadable
// event is unavailable: requests about it fail.
type histories struct {
	revisions map[uint64]uint64 // by the hash of the subject
	entities  int
	lost      []uint64        // sequences of placeholders
	confirmed map[uint64]bool // sequences that operators have declared void
	reported  map[uint64]bool // by the hash of the subject: only the first finding of an entity is reported
}

func newHistories() histories {
	return histories{revisions: map[uint64]uint64{}, confirmed: map[uint64]bool{}, reported: map[uint64]bool{}}
}

// newestOnly are the subjects of entities whose newest event has the whole state, so that a missing event makes none unavailable.
var newestOnly = []string{events.PrefixStock, events.PrefixItem, events.PrefixLane}

// add follows one message. e and err are the decoded event.
func (h *histories) add(l *ledger, m replay.Message, e events.Event, err error) {
	if void, ok := e.Payload.(events.EventVoided); ok && err == nil {
		if replay.IsPlaceholder(m.Sequence, void) {
			h.lost = append(h.lost, m.Sequence)
			return
		}
		h.confirmed[void.Sequence] = true
	}
	envelope := e
	if err != nil {
		var notAnEvent error
		if envelope, notAnEvent = events.DecodeEnvelope(m.Subject, m.Header); notAnEvent != nil {
			return
		}
	}
	if envelope.Revision == 0 {
		return // not an event of its entity: every process skips it
	}
	subject := hash(m.Subject)
	known, seen := h.revisions[subject]
	if !seen {
		h.entities++
	}
	follows := envelope.Revision == known+1 || hasAnyPrefix(m.Subject, newestOnly)
	if m.Voided() && !follows {
		return
	}
	h.revisions[subject] = envelope.Revision
	if m.Voided() || h.reported[subject] {
		return
	}
	if detail := problem(m.Sequence, envelope, err, follows, known); detail != "" {
		h.reported[subject] = true
		l.find(Readable, strings.Clone(m.Subject), detail)
	}
}

// problem says why an entity cannot be read up to an event, "" when it can. err is why the event cannot be decoded, follows whether it
// follows the known revision.
func problem(sequence uint64, e events.Event, err error, follows bool, known uint64) string {
	switch {
	case events.CheckTopology(e, events.Topology) != nil:
		return fmt.Sprintf("the event at sequence %d was written by a newer release: use its ops", sequence)
	case !follows:
		return fmt.Sprintf("revision %d at sequence %d follows %d: an event is missing or stored twice, and the entity is unavailable",
			e.Revision, sequence, known)
	case err != nil && events.IsKnown(e.Type):
		return fmt.Sprintf("the event at sequence %d cannot be read, and the entity is unavailable: %v", sequence, err)
	}
	return ""
}

func hasAnyPrefix(subject string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(subject, prefix) {
			return true
		}
	}
	return false
}

// checkHistories reports events that neither log nor archive has, until operators confirm that they have dealt with the loss.
func (c *checker) checkHistories() {
	h := &c.ledger.histories
	for _, sequence := range h.lost {
		if !h.confirmed[sequence] {
			c.ledger.find(Readable, fmt.Sprintf("sequence %d", sequence), fmt.Sprintf("neither log nor archive has this event; "+
				"when you have dealt with the loss, ops void %d --force --reason TEXT ends this finding", sequence))
		}
	}
	c.scopes[Readable] = output.Count(h.entities, "entity")
}
