package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrapBreaksLinesAtSpaces(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text        string
		first, rest int
		want        []string
	}{
		"Empty":           {"", 5, 5, nil},
		"Fits":            {"one two", 7, 3, []string{"one two"}},
		"ByWords":         {"one two three four", 7, 10, []string{"one two", "three four"}},
		"LongWord":        {"ab cdefghij kl", 4, 4, []string{"ab", "cdef", "ghij", "kl"}},
		"LongWordLater":   {"abcdef gh", 3, 6, []string{"", "abcdef", "gh"}},
		"LongerThanALine": {"abcdefgh", 3, 3, []string{"abc", "def", "gh"}},
		"NoRoom":          {"ab cd", 0, 5, []string{"", "ab cd"}},
		"Spaces":          {"a  b   cc", 4, 4, []string{"a  b", "cc"}},
		"Runes":           {"××× ←←←", 3, 3, []string{"×××", "←←←"}},
	}
	for name, test := range tests {
		if diff := cmp.Diff(test.want, wrap(test.text, test.first, test.rest)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// No line of a table has more than 80 columns, and nothing of the last column is left out.
func TestTableFits80Columns(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 40) + strings.Repeat("x", 200)
	for name, rows := range map[string][][]any{
		"LastIsLong":     {{"a", "1", long}},
		"OthersAreLong":  {{strings.Repeat("lane", 15), "12,345,678", long}},
		"AllAreLong":     {{strings.Repeat("l", 300), "18,446,744,073,709,551,615", long}},
		"EmptyLast":      {{strings.Repeat("l", 60), "1", ""}, {"b", "2", long}},
		"TerminalEscape": {{"a\x1b[31m", "1", long + "\n\n" + long}},
	} {
		var out bytes.Buffer
		table := newTable("LANE", "COUNT>", "ERROR")
		for _, row := range rows {
			table.add(row...)
		}
		if err := table.write(&terminal{out: &out, err: &out}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if width := len([]rune(strings.TrimSuffix(line, "\n"))); width > columns {
				t.Errorf("%s: got %d columns, want at most %d:\n%s", name, width, columns, line)
			}
		}
		if name == "AllAreLong" && !strings.Contains(out.String(), "18,446,744,073,709,551,615") {
			t.Errorf("%s: got a shortened number:\n%s", name, out.String())
		}
		if n := strings.Count(out.String(), "word"); n < 40 {
			t.Errorf("%s: got %d words, want 40 or more:\n%s", name, n, out.String())
		}
	}
}

// The bar does not wrap on a narrow terminal, and it is cleared before a note.
func TestProgressBarIsOneLine(t *testing.T) {
	t.Parallel()
	var drawn bytes.Buffer
	out := &terminal{out: &drawn, err: &drawn, live: true}
	for _, total := range []uint64{0, 2_000} {
		drawn.Reset()
		out.bar("verify: orders again", 1_000, total)
		if got := drawn.String(); !strings.HasPrefix(got, "\r\x1b[K\x1b[?7lverify: ") || !strings.HasSuffix(got, "\x1b[?7h") {
			t.Errorf("bar of %d: got %q, want the line cleared and wrapping off", total, got)
		}
	}
	drawn.Reset()
	out.note("done")
	if got := drawn.String(); got != "\r\x1b[Kdone\n" {
		t.Errorf("note after the bar: got %q, want the bar cleared", got)
	}
	drawn.Reset()
	(&terminal{out: &drawn, err: &drawn}).bar("verify", 1, 2)
	if drawn.Len() > 0 {
		t.Errorf("bar without a terminal: got %q, want nothing", drawn.String())
	}
}

// Text from outside cannot control the terminal or change the order of what it shows.
func TestTextFromOutsideIsEscaped(t *testing.T) {
	t.Parallel()
	var written bytes.Buffer
	out := &terminal{out: &written, err: &written}
	hostile := "Ada\u202e\x1b]0;owned\a\u200b\nBob"
	rows := newTable("NAME")
	rows.add(hostile)
	if err := rows.write(out); err != nil {
		t.Fatal(err)
	}
	if err := out.item(cell{text: "name"}, hostile); err != nil {
		t.Fatal(err)
	}
	out.note("%s", hostile)
	if got := written.String(); strings.ContainsAny(got, "\u202e\x1b\a\u200b") || strings.Count(got, `Ada\u202e\x1b]0;owned\a\u200b`) != 3 {
		t.Errorf("got %q, want the characters as escapes, three times", got)
	}
}
