package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"tillstream/cmd/internal/output"
	"tillstream/events/text"
)

// terminal is where a command writes: its answer to out, and progress, notes and errors to err.
type terminal struct {
	out    io.Writer
	err    io.Writer
	colour bool // out is a terminal and not a pipe
	live   bool // err is a terminal, on which the progress bar can be redrawn
	wide   bool // answers need not fit into 80 columns
}

// columns is the greatest width of an answer.
func (t *terminal) columns() int {
	if t.wide {
		return unlimited
	}
	return columns
}

// newTerminal detects whether each file is a terminal. NO_COLOR turns colours off (no-color.org).
func newTerminal(out, err *os.File) *terminal {
	return &terminal{out: out, err: err, live: isatty.IsTerminal(err.Fd()),
		colour: isatty.IsTerminal(out.Fd()) && os.Getenv("NO_COLOR") == ""}
}

// Formats of times, in tables and elsewhere.
const (
	minutes = "2006-01-02 15:04"
	millis  = "2006-01-02 15:04:05.000 MST"
)

// style is an ANSI text style.
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
	if !t.colour || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// printf writes a line of the answer, with what a terminal would not show as it is as escapes.
func (t *terminal) printf(format string, args ...any) error {
	return t.emit(text.Printable(fmt.Sprintf(format, args...)))
}

// emit writes a line that may have styles. What was stored in it must have been escaped.
func (t *terminal) emit(line string) error {
	_, err := fmt.Fprintln(t.out, line)
	return err
}

// json writes the answer for programs.
func (t *terminal) json(v any) error {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := t.out.Write(text.PrintableJSON(encoded.Bytes()))
	return err
}

// answer writes a result, as JSON or as text. It returns errProblem if the result shows that something is wrong.
func (t *terminal) answer(asJSON bool, result any, text func() error, wrong bool) error {
	var err error
	if asJSON {
		err = t.json(result)
	} else {
		err = text()
	}
	if err == nil && wrong {
		return errProblem
	}
	return err
}

// note writes to err: wrapped on a terminal, as one line elsewhere. A write error is ignored, because it does not change the
// answer.
func (t *terminal) note(format string, args ...any) {
	t.clear()
	line := text.Printable(fmt.Sprintf(format, args...))
	if t.live {
		line = strings.Join(wrap(line, columns, columns-below), "\n"+strings.Repeat(" ", below))
	}
	fmt.Fprintln(t.err, line)
}

// fail reports why a command could not be carried out.
func (t *terminal) fail(err error) int {
	t.note("ops: %v", err)
	return exitFailed
}

// clear removes the progress bar.
func (t *terminal) clear() {
	if t.live {
		fmt.Fprint(t.err, output.ClearLine)
	}
}

// barWidth is the number of characters inside the brackets of the progress bar.
const barWidth = 24

// bar draws the progress bar over the one before. It draws nothing if err is not a terminal. A total of 0 means unknown.
func (t *terminal) bar(operation string, done, total uint64) {
	if !t.live {
		return
	}
	if total == 0 {
		fmt.Fprint(t.err, output.ProgressLine(operation+" "+output.Number(done)))
		return
	}
	full := int(barWidth * min(done, total) / total)
	fmt.Fprint(t.err, output.ProgressLine(fmt.Sprintf("%s [%s%s] %s of %s", operation, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full),
		output.Number(done), output.Number(total))))
}
