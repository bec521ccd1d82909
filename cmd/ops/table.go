package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"tillstream/cmd/internal/output"
	"tillstream/events/text"
)

// columns is the greatest width of an answer without --wide. Text that does not fit continues on the next line.
const columns = 80

// unlimited is the greatest width of an answer with --wide.
const unlimited = 1 << 20

// monospace measures text as a terminal shows it: a Chinese character takes two columns, a combining mark none. The widths do not
// depend on the locale.
var monospace = &runewidth.Condition{}

func width(text string) int { return monospace.StringWidth(text) }

// cell is one field of a table.
type cell struct {
	text  string
	style style
}

// table aligns its columns; a column whose name ends in > is aligned to the right. The last column may be longer than a
// line: it continues below its beginning, or below the whole row if little room is left for it. text/tabwriter and the common
// table packages do not wrap in this way.
type table struct {
	names []string
	rows  [][]cell
	lead  bool // the style of the last column applies to its first word only
	// cutLast: the last column is shortened to the line, if it keeps minCut columns.
	cutLast bool
}

func newTable(names ...string) *table { return &table{names: names} }

// add appends a row of cells and strings.
func (t *table) add(fields ...any) {
	row := make([]cell, len(fields))
	for i, f := range fields {
		switch f := f.(type) {
		case cell:
			row[i] = f
		case string:
			row[i] = cell{text: f}
		}
		row[i].text = oneLine(row[i].text)
	}
	t.rows = append(t.rows, row)
}

// oneLine writes text on one line, and control, bidirectional and invisible characters as escapes. Names and error texts come from
// outside: a line break would break the table, and an escape sequence would control the terminal.
func oneLine(s string) string {
	return text.Printable(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		return r
	}, s))
}

// Minimum widths of columns.
const (
	minLast  = 30 // with less room, the last column goes below the row
	minOther = 8
	minCut   = 16
	below    = 4 // indentation of text below a row
)

// layout is the widths of the columns of a table.
type layout struct {
	widths []int
	right  []bool
	start  int  // where the last column begins
	below  bool // whether the last column goes below the row
}

func (t *table) layout(rows [][]cell, columns int) layout {
	l := layout{widths: make([]int, len(t.names)), right: make([]bool, len(t.names))}
	for i, name := range t.names {
		l.right[i] = strings.HasSuffix(name, ">")
	}
	for _, row := range rows {
		for i, c := range row {
			l.widths[i] = max(l.widths[i], width(c.text))
		}
	}
	last := len(t.names) - 1
	for _, w := range l.widths[:last] {
		l.start += w + 2
	}
	l.shorten(columns)
	if room := columns - l.start; t.cutLast && room >= minCut {
		l.widths[last] = min(l.widths[last], room)
		return l
	}
	l.below = l.start+l.widths[last] > columns && columns-l.start < minLast
	return l
}

// shorten narrows the widest columns of text, except the last one, until they fit into a line. A number is never shortened: it would
// be another number.
func (l *layout) shorten(columns int) {
	others := l.widths[:len(l.widths)-1]
	for l.start > columns {
		widest := -1
		for i, w := range others {
			if !l.right[i] && w > minOther && (widest < 0 || w > others[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		less := min(l.start-columns, others[widest]-minOther)
		others[widest], l.start = others[widest]-less, l.start-less
	}
}

func (t *table) write(out *terminal) error {
	head := make([]cell, len(t.names))
	for i, name := range t.names {
		head[i] = cell{text: strings.TrimSuffix(name, ">"), style: bold}
	}
	rows := append([][]cell{head}, t.rows...)
	l := t.layout(rows, out.columns())
	for i, row := range rows {
		if err := t.writeRow(out, l, row, t.lead && i > 0); err != nil {
			return err
		}
	}
	return nil
}

// csv writes the table for spreadsheets: numbers without commas, and nothing that a spreadsheet would evaluate.
func (t *table) csv(out *terminal) error {
	w := csv.NewWriter(out.out)
	names := make([]string, len(t.names))
	for i, name := range t.names {
		names[i] = strings.ToLower(strings.TrimSuffix(name, ">"))
	}
	problem := w.Write(names)
	for _, row := range t.rows {
		record := make([]string, len(row))
		for i, c := range row {
			record[i] = output.EscapeCell(c.text)
			if strings.HasSuffix(t.names[i], ">") {
				record[i] = strings.ReplaceAll(c.text, ",", "")
			}
		}
		problem = cmp.Or(problem, w.Write(record))
	}
	w.Flush()
	return cmp.Or(problem, w.Error())
}

func (t *table) writeRow(out *terminal, l layout, row []cell, lead bool) error {
	var line strings.Builder
	last := len(row) - 1
	for i, c := range row[:last] {
		text := cut(c.text, l.widths[i])
		padding := strings.Repeat(" ", l.widths[i]-width(text))
		if l.right[i] {
			line.WriteString(padding + out.paint(c.style, text) + "  ")
		} else {
			line.WriteString(out.paint(c.style, text) + padding + "  ")
		}
	}
	c := row[last]
	if t.cutLast && !l.below {
		c.text = cut(c.text, l.widths[last])
	}
	switch {
	case l.right[last]:
		return out.emit(line.String() + strings.Repeat(" ", max(l.widths[last]-width(c.text), 0)) + c.text)
	case l.below:
		if err := out.emit(strings.TrimRight(line.String(), " ")); err != nil || c.text == "" {
			return err
		}
		line.Reset()
		line.WriteString(strings.Repeat(" ", below))
		return out.hang(line.String(), below, c, lead, below)
	}
	return out.hang(line.String(), l.start, c, lead, min(l.start+2, out.columns()-minLast))
}

// cut shortens text to a width by leaving out its middle: ids of one time begin alike, and addresses of one company end alike.
func cut(text string, room int) string {
	if width(text) <= room {
		return text
	}
	end := monospace.TruncateLeft(text, width(text)-(room-1)/2, "")
	return monospace.Truncate(text, room-1-width(end), "") + "…" + end
}

// hang writes a cell with a hanging indent: the first line after a prefix of the given width, further lines indented. With
// lead, only the first word is painted.
func (t *terminal) hang(prefix string, at int, c cell, lead bool, indent int) error {
	lines := wrap(oneLine(c.text), t.columns()-at, t.columns()-indent)
	if len(lines) == 0 {
		return t.emit(strings.TrimRight(prefix, " "))
	}
	for i, line := range lines {
		switch word, rest, _ := strings.Cut(line, " "); {
		case !lead:
			line = t.paint(c.style, line)
		case i == 0 && rest != "":
			line = t.paint(c.style, word) + " " + rest
		case i == 0:
			line = t.paint(c.style, word)
		}
		if err := t.emit(strings.TrimRight(prefix+line, " ")); err != nil {
			return err
		}
		prefix = strings.Repeat(" ", indent)
	}
	return nil
}

// item writes a name and text about it.
func (t *terminal) item(name cell, text string) error {
	name.text = oneLine(name.text)
	return t.hang(t.paint(name.style, name.text)+"  ", width(name.text)+2, cell{text: text}, false, below)
}

// say writes a sentence, wrapped to the width of an answer.
func (t *terminal) say(format string, args ...any) error {
	return t.hang("", 0, cell{text: fmt.Sprintf(format, args...)}, false, below)
}

// wrap breaks text into lines of at most first columns (the first line) and rest columns (the others). Spaces within a line are kept.
func wrap(text string, first, rest int) (lines []string) {
	left, room := strings.TrimSpace(text), max(first, 0)
	for {
		line := begin(left, room)
		if len(line) == len(left) {
			break
		}
		at := strings.LastIndexByte(left[:len(line)+1], ' ') // of the space that ends the line
		next := at
		switch {
		case at > 0:
		case len(lines) > 0 || room >= rest: // a word longer than a line
			at = max(len(line), firstRune(left))
			next = at
		default:
			at, next = 0, 0
		}
		lines = append(lines, strings.TrimRight(left[:at], " "))
		left, room = strings.TrimLeft(left[next:], " "), rest
	}
	if left != "" {
		lines = append(lines, left)
	}
	return lines
}

// maxBytes is the most bytes of a column: a character may have many combining marks. Measuring no more of a long text than a line can
// hold keeps a body of many lines fast.
const maxBytes = 16

// begin returns as much of a text as fits into some columns.
func begin(text string, room int) string {
	if limit := maxBytes * room; len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return monospace.Truncate(text, room, "")
}

// firstRune returns the length of the first character, which is on a line of its own where no line is wide enough for it.
func firstRune(text string) int {
	_, size := utf8.DecodeRuneInString(text)
	return size
}
