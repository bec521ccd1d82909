package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"tillstream/cmd/internal/ansi"
)

// terminal is where a command writes: its answer to out, everything about getting there to err.
type terminal struct {
	out    io.Writer
	err    io.Writer
	colour bool // out is looked at, not piped
	live   bool // err can be written over
}

// newTerminal looks at what the files are. NO_COLOR is honoured (no-color.org).
func newTerminal(out, err *os.File) *terminal {
	return &terminal{out: out, err: err, live: isatty.IsTerminal(err.Fd()),
		colour: isatty.IsTerminal(out.Fd()) && os.Getenv("NO_COLOR") == ""}
}

// How a moment is written, in a table and by itself.
const (
	minutes = "2006-01-02 15:04"
	millis  = "2006-01-02 15:04:05.000 MST"
)

// style is an ANSI colour.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

func (t *terminal) paint(s style, text string) string {
	if !t.colour || s == plain {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// printf writes a line of the answer.
func (t *terminal) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(t.out, format+"\n", args...)
	return err
}

// json writes the answer for programs.
func (t *terminal) json(v any) error {
	encoder := json.NewEncoder(t.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// note writes a line about getting there. Whether anybody can read it makes no difference to the answer.
func (t *terminal) note(format string, args ...any) {
	t.clear()
	fmt.Fprintf(t.err, format+"\n", args...)
}

// fail says why a command could not be carried out.
func (t *terminal) fail(err error) int {
	t.note("ops: %v", err)
	return exitFailed
}

// clear removes the progress bar.
func (t *terminal) clear() {
	if t.live {
		fmt.Fprint(t.err, ansi.Clear)
	}
}

// barWidth is how many cells the bar itself has.
const barWidth = 24

// bar draws progress over itself on a terminal and nothing elsewhere. A total of 0 means that the end is not known.
func (t *terminal) bar(what string, done, total uint64) {
	if !t.live {
		return
	}
	if total == 0 {
		fmt.Fprint(t.err, ansi.Line(what+" "+count(done)))
		return
	}
	full := int(barWidth * min(done, total) / total)
	fmt.Fprint(t.err, ansi.Line(fmt.Sprintf("%s [%s%s] %s of %s", what, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), count(done), count(total))))
}

// count writes a number with commas between thousands.
func count(n uint64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
