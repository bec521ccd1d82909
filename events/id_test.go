package events_test

import (
	"errors"
	"strings"
	"testing"

	"tillstream/events"
)

// Row 17 of the fault matrix: what is not one harmless subject token is refused before it gets near a subject.
func TestCheckID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id string
		ok bool
	}{
		"UUID":       {"0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10", true},
		"StockCode":  {"85123A_gift-1", true},
		"OneLetter":  {"x", true},
		"Longest":    {strings.Repeat("a", 64), true},
		"Empty":      {"", false},
		"TooLong":    {strings.Repeat("a", 65), false},
		"Huge":       {strings.Repeat("a", 5000), false},
		"Star":       {"*", false},
		"Arrow":      {">", false},
		"Dot":        {"a.b", false},
		"Space":      {"a b", false},
		"NUL":        {"a\x00", false},
		"LineEnd":    {"a\n", false},
		"Umlaut":     {"ä", false},
		"BadUnicode": {"\xff", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := events.CheckID(c.id)
			if (err == nil) != c.ok {
				t.Errorf("CheckID(%.80q) = %v, want ok %v", c.id, err, c.ok)
			}
			if err != nil && !errors.Is(err, events.ErrBadID) {
				t.Errorf("%v is not ErrBadID", err)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("the error repeats %d bytes of a hostile id", len(err.Error()))
			}
		})
	}
}
