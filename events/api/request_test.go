package api_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"tillstream/events/api"
)

func TestTraceParentKeepsAValidHeaderAndStartsANewTraceOtherwise(t *testing.T) {
	t.Parallel()
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	const good = "00-" + trace + "-" + parent + "-01"
	for name, c := range map[string]struct{ header, want string }{ // want "new": a new trace
		"None":           {"", ""},
		"Good":           {good, good},
		"NotSampled":     {"00-" + trace + "-" + parent + "-00", "00-" + trace + "-" + parent + "-00"},
		"LaterVersion":   {"01-" + trace + "-" + parent + "-01-later-fields", "01-" + trace + "-" + parent + "-01"},
		"Nonsense":       {"x", "new"},
		"UpperCase":      {strings.ToUpper(good), "new"},
		"Twice":          {good + "," + good, "new"},
		"TwiceSpaced":    {good + ", " + good, "new"},
		"VersionFF":      {"ff-" + trace + "-" + parent + "-01", "new"},
		"LongVersion00":  {good + "-more", "new"},
		"NoTraceID":      {"00-" + strings.Repeat("0", 32) + "-" + parent + "-01", "new"},
		"NoParentID":     {"00-" + trace + "-" + strings.Repeat("0", 16) + "-01", "new"},
		"Short":          {"00-" + trace[:31] + "-" + parent + "-01", "new"},
		"LineBreak":      {good + "\n", "new"},
		"HalfAMegabyte":  {strings.Repeat("0", 512<<10), "new"},
		"LaterUnbounded": {"01-" + trace + "-" + parent + "-01" + "x", "new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := api.TraceParent(c.header)
			if c.want != "new" {
				if got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				return
			}
			if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`).MatchString(got) || strings.Contains(got, trace) || got == api.TraceParent(c.header) {
				t.Errorf("got %q, want a new trace", got)
			}
		})
	}
}

func TestCursorsAreDecodedOrRefused(t *testing.T) {
	t.Parallel()
	parse := func(key string) (string, error) {
		if !strings.HasPrefix(key, "row ") {
			return "", errors.New("not a row")
		}
		return key, nil
	}
	if key, err := api.DecodeCursor(api.EncodeCursor("row \x00ü"), parse); err != nil || key != "row \x00ü" {
		t.Errorf("got %q, %v", key, err)
	}
	for _, cursor := range []string{"", "!", api.EncodeCursor("column 1"), strings.Repeat("x", 5000)} {
		if _, err := api.DecodeCursor(cursor, parse); !errors.Is(err, api.ErrBadCursor) || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v, want a short ErrBadCursor", cursor, err)
		}
	}
}
