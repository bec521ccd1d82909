package output

// ClearLine moves to the first column of a terminal and clears the line (ECMA-48).
const ClearLine = "\r\x1b[K"

const (
	noWrap = "\x1b[?7l" // DEC's private mode 7
	wrap   = "\x1b[?7h"
)

// ProgressLine returns the sequence that overwrites the line of a terminal with a text. A text that is too wide is cut at the edge
// of the terminal: if it wrapped, the next text would overwrite only its last row.
func ProgressLine(text string) string { return ClearLine + noWrap + text + wrap }
