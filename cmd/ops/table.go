package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"tillstream/events/text"
)

// columns is the greatest width of an answer. Text that does not fit continues on the next line.
const columns = 80

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
	below    = 4 // indentation of text below a row
)

// layout is the widths of the columns of a table.
type layout struct {
	widths []int
	right  []bool
	start  int  // where the last column begins
	below  bool // whether the last column goes below the row
}

func (t *table) layout(rows [][]cell) layout {
	l := layout{widths: make([]int, len(t.names)), right: make([]bool, len(t.names))}
	for i, name := range t.names {
		l.right[i] = strings.HasSuffix(name, ">")
	}
	for _, row := range rows {
		for i, c := range row {
			l.widths[i] = max(l.widths[i], utf8.RuneCountInString(c.text))
		}
	}
	last := len(t.names) - 1
	for _, w := range l.widths[:last] {
		l.start += w + 2
	}
	l.shorten()
	l.below = l.start+l.widths[last] > columns && columns-l.start < minLast
	return l
}

// shorten narrows the widest columns, except the last one, until they fit into a line.
func (l *layout) shorten() {
	others := l.widths[:len(l.widths)-1]
	for l.start > columns {
		widest := 0
		for i, w := range others {
			if w > others[widest] {
				widest = i
			}
		}
		less := min(l.start-columns, others[widest]-minOther)
		if less <= 0 {
			return
		}
		others[widest], l.start = others[widest]-less, l.start-less
	}
}

func (t *table) write(out *terminal) error {
	head := make([]cell, len(t.names))
	for i, name := range t.names {
		head[i] = cell{text: strings.TrimSuffix(name, ">"), style: bold}
	}
	rows := append([][]cell{head}, t.rows...)
	l := t.layout(rows)
	for i, row := range rows {
		if err := t.writeRow(out, l, row, t.lead && i > 0); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) writeRow(out *terminal, l layout, row []cell, lead bool) error {
	var line strings.Builder
	last := len(row) - 1
	for i, c := range row[:last] {
		text := cut(c.text, l.widths[i])
		padding := strings.Repeat(" ", l.widths[i]-utf8.RuneCountInString(text))
		if l.right[i] {
			line.WriteString(padding + out.paint(c.style, text) + "  ")
		} else {
			line.WriteString(out.paint(c.style, text) + padding + "  ")
		}
	}
	c := row[last]
	switch {
	case l.right[last]:
		return out.printf("%s%*s", line.String(), l.widths[last], c.text)
	case l.below:
		if err := out.printf("%s", strings.TrimRight(line.String(), " ")); err != nil || c.text == "" {
			return err
		}
		line.Reset()
		line.WriteString(strings.Repeat(" ", below))
		return out.hang(line.String(), below, c, lead, below)
	}
	return out.hang(line.String(), l.start, c, lead, min(l.start+2, columns-minLast))
}

// cut shortens text to a width.
func cut(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

// hang writes a cell with a hanging indent: the first line after a prefix of the given width, further lines indented. With
// lead, only the first word is painted.
func (t *terminal) hang(prefix string, width int, c cell, lead bool, indent int) error {
	lines := wrap(c.text, columns-width, columns-indent)
	if len(lines) == 0 {
		return t.printf("%s", strings.TrimRight(prefix, " "))
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
		if err := t.printf("%s", strings.TrimRight(prefix+line, " ")); err != nil {
			return err
		}
		prefix = strings.Repeat(" ", indent)
	}
	return nil
}

// item writes a name and text about it.
func (t *terminal) item(name cell, text string) error {
	return t.hang(t.paint(name.style, name.text)+"  ", utf8.RuneCountInString(name.text)+2, cell{text: oneLine(text)}, false, below)
}

// say writes a sentence, wrapped to the width of an answer.
func (t *terminal) say(format string, args ...any) error {
	return t.hang("", 0, cell{text: fmt.Sprintf(format, args...)}, false, below)
}

// wrap breaks text into lines of at most first characters (the first line) and rest characters (the others). Spaces within a
// line are kept.
func wrap(text string, first, rest int) (lines []string) {
	left, room := []rune(strings.TrimSpace(text)), max(first, 0)
	for len(left) > room {
		at := room // of the space that ends the line
		for at > 0 && left[at] != ' ' {
			at--
		}
		next := at
		if at == 0 && (len(lines) > 0 || room >= rest) { // a word longer than a line
			at, next = room, room
		}
		lines = append(lines, strings.TrimRight(string(left[:at]), " "))
		left, room = []rune(strings.TrimLeft(string(left[next:]), " ")), rest
	}
	if len(left) > 0 {
		lines = append(lines, string(left))
	}
	return lines
}
