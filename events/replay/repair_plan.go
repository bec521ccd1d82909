package replay

import "maps"

// lostEvent is an event that the archive has and the log has not.
type lostEvent struct {
	Lost
	cause string // id of the event that caused it, if any
	sum   uint64
}

// plan is what becomes of the events that a log has lost.
type plan struct {
	restore    []lostEvent // in their order
	superseded []lostEvent // their entity has gone on without them
	exact      bool        // they follow the log's end without a gap, so they come back under their old sequences
}

// planOf decides what can be put back. lost is in the order of the old sequences, last is where the log ends now, moved
// are the subjects of which the log says something new since the fork, and there what it has got back already.
//
// An entity's history is one line: where the log has gone on, the old continuation would be read on top of the new one,
// and a balance or a state of then would replace the one of now. So it stays out, and with it the rest of its line, and what was
// decided together with it (the lines of one reservation and the stock they took have one cause): half a decision is none.
func planOf(lost []lostEvent, last uint64, moved map[string]bool, there map[uint64]bool) plan {
	p := plan{exact: true}
	superseded := make([]bool, len(lost))
	subjects, causes := maps.Clone(moved), map[string]bool{}
	for changed := true; changed; {
		changed = false
		for i, e := range lost {
			if superseded[i] || there[e.sum] || !subjects[e.Subject] && (e.cause == "" || !causes[e.cause]) {
				continue
			}
			superseded[i], changed = true, true
			subjects[e.Subject] = true
			if e.cause != "" {
				causes[e.cause] = true
			}
		}
	}
	for i, e := range lost {
		switch {
		case there[e.sum]:
			p.exact = false
		case superseded[i]:
			p.superseded, p.exact = append(p.superseded, e), false
		default:
			p.exact = p.exact && e.Sequence == last+uint64(len(p.restore))+1
			p.restore = append(p.restore, e)
		}
	}
	return p
}
