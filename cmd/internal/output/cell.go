package output

import "strings"

// mark is what a spreadsheet takes for "this is text".
const mark = "'"

// formulas are the characters that a formula can begin with (OWASP, CSV Injection), as ASCII and in full width.
const formulas = "=+-@\t\r\n＝＋－＠"

// Cell writes a text so that no spreadsheet takes it for a formula: one that begins with = + - @, a tab or the end of a line
// gets a single quote in front. So does one that has such quotes there already, so that [CellText] gives back what it was.
func Cell(text string) string {
	if isFormula(text) {
		return mark + text
	}
	return text
}

// CellText is the text that [Cell] wrote.
func CellText(cell string) string {
	if isFormula(cell) {
		return strings.TrimPrefix(cell, mark)
	}
	return cell
}

// isFormula reports whether a text would be a formula without the quotes in front of it, if there are any.
func isFormula(text string) bool {
	rest := strings.TrimLeft(text, mark)
	return rest != "" && strings.IndexAny(rest, formulas) == 0
}
