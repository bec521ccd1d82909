package output

import "strings"

// textMark in front of a cell makes a spreadsheet show it as text.
const textMark = "'"

// formulaStarts are the characters with which a formula can begin, in ASCII and in full width (OWASP, CSV Injection).
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// EscapeCell escapes text for a CSV file so that no spreadsheet evaluates it: text that begins with = + - @, a tab or a line
// break gets a single quote in front. Text that already has such quotes gets one more, so that [UnescapeCell] returns the
// original.
func EscapeCell(text string) string {
	if isFormula(text) {
		return textMark + text
	}
	return text
}

// UnescapeCell returns the text that [EscapeCell] escaped.
func UnescapeCell(cell string) string {
	if isFormula(cell) {
		return strings.TrimPrefix(cell, textMark)
	}
	return cell
}

// isFormula reports whether text would be a formula without the single quotes at its beginning, if any.
func isFormula(text string) bool {
	rest := strings.TrimLeft(text, textMark)
	return rest != "" && strings.IndexAny(rest, formulaStarts) == 0
}
