package console

import (
	"encoding/json"
	"strings"

	"tillstream/events/replay"
)

// entityStates are the states of an entity before an event, as the event met it, and now, as indented JSON; "" where there is none.
type entityStates struct {
	Name        string // kind and id
	Before, Now string
	Changed     bool
	Problem     string // why the events after Before or Now cannot be applied
}

// statesOf returns states for a page.
func statesOf(diffs []replay.StateDiff) (states []entityStates) {
	for _, d := range diffs {
		s := entityStates{Name: d.After.Kind + " " + d.After.ID, Before: stateOf(d.Before), Now: stateOf(d.After), Problem: d.After.Error}
		s.Changed = s.Before != s.Now
		states = append(states, s)
	}
	return states
}

func stateOf(s replay.EntityState) string {
	if !s.Exists() {
		return ""
	}
	return jsonOf(s.Value)
}

// jsonOf is a value as indented JSON.
func jsonOf(v any) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // templates escape
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out.String())
}
