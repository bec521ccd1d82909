package main

import (
	"strings"
	"unicode/utf8"
)

// cell is one field of a table.
type cell struct {
	text  string
	style style
}

// table aligns its columns. Columns whose name ends in > are aligned to the right.
type table struct {
	names []string
	rows  [][]cell
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

func (t *table) write(out *terminal) error {
	widths := make([]int, len(t.names))
	right := make([]bool, len(t.names))
	head := make([]cell, len(t.names))
	for i, name := range t.names {
		name, right[i] = strings.CutSuffix(name, ">")
		head[i] = cell{text: name, style: bold}
		widths[i] = utf8.RuneCountInString(name)
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range append([][]cell{head}, t.rows...) {
		var line strings.Builder
		for i, c := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			switch {
			case right[i]:
				line.WriteString(padding + out.paint(c.style, c.text))
			case i == len(row)-1:
				line.WriteString(out.paint(c.style, c.text))
			default:
				line.WriteString(out.paint(c.style, c.text) + padding)
			}
			if i < len(row)-1 {
				line.WriteString("  ")
			}
		}
		if err := out.printf("%s", line.String()); err != nil {
			return err
		}
	}
	return nil
}
