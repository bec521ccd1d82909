package redelivery

import (
	"context"
	"fmt"
	"strings"

	"tillstream/cmd/internal/output"
	"tillstream/events"
	"tillstream/events/replay"
)

// Result is the difference between a shop before and after a redelivery.
type Result struct {
	Live     int      `json:"live_events"`       // events of live orders
	Requests int      `json:"replay_events"`     // events of the replay itself
	Others   []string `json:"others,omitempty"`  // events that belong to neither: what the redelivery has appended
	States   Hashes   `json:"entities"`          // of all entities and dead letters that live orders did not change
	Docs     Hashes   `json:"documents"`         // of the projections
	Changed  []string `json:"changed,omitempty"` // names of entities, dead letters and documents that differ
}

// Hashes are the hashes of many states before and after.
type Hashes struct {
	N      int    `json:"n"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Compare waits until every lane has handled the whole log, and compares the shop with what it was.
func (s *Snapshot) Compare(ctx context.Context) (Result, error) {
	now := &Snapshot{Shop: s.Shop}
	var err error
	if now.at, err = s.settled(ctx); err != nil {
		return Result{}, err
	}
	r, live := Result{}, map[string]bool{"": false}
	err = s.Log.Each(ctx, replay.Range{From: s.at.Sequence + 1, To: now.at.Sequence}, func(m replay.Message) error {
		e, err := m.Event()
		switch {
		case strings.HasPrefix(m.Subject, events.PrefixReplay):
			r.Requests++
		case s.correlations[e.CorrelationID] || !sold(m.Subject):
			r.Others = append(r.Others, fmt.Sprintf("event %d %s on %s", m.Sequence, e.Type, m.Subject))
		default:
			r.Live++
			live[m.Subject] = true
		}
		return err
	})
	if err != nil {
		return Result{}, err
	}
	if err := now.read(ctx); err != nil {
		return Result{}, err
	}
	if now.documents, err = documents(ctx, s.DB, s.at.Sequence); err != nil {
		return Result{}, err
	}
	r.States = r.compare(s.entities, now.entities, live)
	r.Docs = r.compare(s.documents, now.documents, nil)
	return r, nil
}

// sold reports whether a subject belongs to a domain that sells, and not to operators.
func sold(subject string) bool { return !strings.HasPrefix(subject, "ops.") }

// compare hashes both and names what differs. An entity that live orders have made exists only afterwards, and is left out.
func (r *Result) compare(before, after []part, leftOut map[string]bool) Hashes {
	known, h := map[string]string{}, Hashes{}
	h.Before, h.N = hashOf(before, leftOut)
	h.After, _ = hashOf(after, leftOut)
	for _, p := range before {
		known[p.name] = p.hash
	}
	for _, p := range after {
		if !leftOut[p.subject] && known[p.name] != p.hash {
			r.Changed = append(r.Changed, p.name)
		}
		delete(known, p.name)
	}
	for name := range known {
		r.Changed = append(r.Changed, name+" (no longer there)")
	}
	return h
}

// maxNamed bounds how many events and entities a broken promise names.
const maxNamed = 5

// Broken returns what the redelivery has changed, one line each; none when the shop is the same.
func (r Result) Broken() (broken []string) {
	named := func(all []string) string { return strings.Join(all[:min(len(all), maxNamed)], "; ") }
	if n := len(r.Others); n > 0 {
		broken = append(broken, fmt.Sprintf("the redelivery has appended %s: %s", output.Count(n, "event"), named(r.Others)))
	}
	if n := len(r.Changed); n > 0 {
		broken = append(broken, fmt.Sprintf("%s changed: %s", output.Count(n, "entity or document"), named(r.Changed)))
	}
	for what, h := range map[string]Hashes{"entities": r.States, "projections": r.Docs} {
		if h.Before != h.After {
			broken = append(broken, fmt.Sprintf("the hash of the %s was %.12s, is %.12s", what, h.Before, h.After))
		}
	}
	return broken
}
