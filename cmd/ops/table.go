package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// columns is how wide an answer is at most. What does not fit is continued on the next line.
const columns = 80

// cell is one field of a table.
type cell struct {
	text  string
	style style
}

// table aligns its columns. Columns whose name ends in > are aligned to the right. The last column may be longer than a
// line: it is continued below its beginning, or below the whole row where little room is left for it.
type table struct {
	names []string
	rows  [][]cell
	lead  bool // the style of the last column is for its first word
}

func newTable(names ...string) *table { return &table{names: names} }

// add takes cells and strings.
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

// oneLine replaces what would break the table, or take over the terminal: names and error texts come from outside.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) {
			return ' '
		}
		return r
	}, text)
}

// Room that a column is left with at least.
const (
	leastLast  = 30 // less, and the last column goes below the row
	leastOther = 8
	below      = 4 // how far it is indented there
)

// layout is how wide the columns of a table are.
type layout struct {
	widths []int
	right  []bool
	start  int  // where the last column begins
	below  bool // the last column goes below the row
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
	for l.start > columns { // cut what is widest
		widest := 0
		for i, w := range l.widths[:last] {
			if w > l.widths[widest] {
				widest = i
			}
		}
		less := min(l.start-columns, l.widths[widest]-leastOther)
		if less <= 0 {
			break
		}
		l.widths[widest], l.start = l.widths[widest]-less, l.start-less
	}
	l.below = l.start+l.widths[last] > columns && columns-l.start < leastLast
	return l
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
	return out.hang(line.String(), l.start, c, lead, min(l.start+2, columns-leastLast))
}

// cut shortens a text to a width.
func cut(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}

// hang writes a text behind a prefix that takes so many columns, and goes on below it, indented.
func (t *terminal) hang(prefix string, taken int, c cell, lead bool, indent int) error {
	lines := wrap(c.text, columns-taken, columns-indent)
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

// item writes what something is, and what is said about it.
func (t *terminal) item(name cell, text string) error {
	return t.hang(t.paint(name.style, name.text)+"  ", utf8.RuneCountInString(name.text)+2, cell{text: oneLine(text)}, false, below)
}

// say writes a sentence.
func (t *terminal) say(format string, args ...any) error {
	return t.hang("", 0, cell{text: fmt.Sprintf(format, args...)}, false, below)
}

// wrap breaks a text into lines: the first has room for so many characters, the others for rest. Spaces within a line stay.
func wrap(text string, first, rest int) (lines []string) {
	left, room := []rune(strings.TrimSpace(text)), max(first, 0)
	for len(left) > room {
		at := room // the space that ends the line
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
