// Package ansi is what a terminal is told when a line on it is written over again and again (ECMA-48, and DEC's private
// mode 7).
package ansi

// Clear goes to the first column and takes away what stands in the line.
const Clear = "\r\x1b[K"

const (
	noWrap = "\x1b[?7l"
	wrap   = "\x1b[?7h"
)

// Line writes a text over the line. One that is longer than the terminal is wide ends at its edge: wrapped it would be two
// lines, of which the next text is written over the second alone.
func Line(text string) string { return Clear + noWrap + text + wrap }
