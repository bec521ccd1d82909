// Package ansi provides the control sequences of a progress line, which is overwritten on a terminal (ECMA-48, and DEC's private
// mode 7).
package ansi

// Clear moves to the first column and clears the line.
const Clear = "\r\x1b[K"

const (
	noWrap = "\x1b[?7l"
	wrap   = "\x1b[?7h"
)

// Line returns the sequence that overwrites the line with a text. A text that is too wide is cut at the edge of the terminal:
// if it wrapped, the next text would overwrite only its last row.
func Line(text string) string { return Clear + noWrap + text + wrap }
