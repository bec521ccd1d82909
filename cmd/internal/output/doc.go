// Package output guards the files that tools write their results to.
//
// Two things go wrong with such files. One is named that the tool also reads, by the same name or through a link, and is
// emptied before it is read: [Apart] refuses that. And a spreadsheet takes a cell that begins with a sign of arithmetic for
// a formula, although what stands there came from a stranger: [Cell] writes it as text, and [CellText] reads it back.
package output
