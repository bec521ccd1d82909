package console

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// point is one value of a series.
type point struct {
	At    time.Time
	Value float64
}

// series is one line of a chart.
type series struct {
	Name   string
	Points []point // in order of time
}

// chart is a drawing of values over time. Its scale begins at 0. The template "chart" draws the lines as SVG, which is stretched to
// the width of the page, and writes the scale beside it in the size of other text.
type chart struct {
	Title  string // what the chart shows, for screen readers
	Unit   string // after numbers, such as " ms"; default none
	Series []series
	Broad  bool // as wide as the page, so it is drawn higher; default: a tile
}

// The view box of a chart. The template and console.css know it too.
const (
	chartWidth  = 1000
	chartHeight = 240
)

// Label says in words what the chart shows.
func (c chart) Label() string {
	parts := []string{c.Title}
	for _, s := range c.Series {
		if len(s.Points) == 0 {
			parts = append(parts, strings.TrimSpace(s.Name+" no values"))
			continue
		}
		low, high := s.Points[0].Value, s.Points[0].Value
		for _, p := range s.Points {
			low, high = min(low, p.Value), max(high, p.Value)
		}
		last := s.Points[len(s.Points)-1].Value
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%s now %s%s, between %s and %s", s.Name, compact(last), c.Unit, compact(low), compact(high))))
	}
	return strings.Join(parts, "; ")
}

// high returns the upper end of the scale.
func (c chart) high() float64 {
	high := 0.0
	for _, s := range c.Series {
		for _, p := range s.Points {
			high = max(high, p.Value)
		}
	}
	if high == 0 {
		return 1
	}
	return roundUp(high)
}

// Top and Half are the numbers of the scale.
func (c chart) Top() string  { return compact(c.high()) }
func (c chart) Half() string { return compact(c.high() / 2) }

// span returns the first and the last time of all series, zero without points.
func (c chart) span() (from, to time.Time) {
	for _, s := range c.Series {
		for _, p := range s.Points {
			if from.IsZero() || p.At.Before(from) {
				from = p.At
			}
			if p.At.After(to) {
				to = p.At
			}
		}
	}
	return from, to
}

// Times are the texts under the ends of the axis, none without points.
func (c chart) Times() []string {
	from, to := c.span()
	if from.IsZero() {
		return nil
	}
	layout := "15:04"
	if to.Sub(from) > 24*time.Hour {
		layout = "2 Jan"
	}
	return []string{from.UTC().Format(layout), to.UTC().Format(layout)}
}

// roundUp returns the next of 1, 2, 4 and 8 times a power of ten, so that its half is a round number.
func roundUp(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 4, 8} {
		if v <= step*power {
			return step * power
		}
	}
	return 10 * power
}

// drawnLine is a series as the paths of an SVG. Area is only there when a chart has one line.
type drawnLine struct{ Class, Line, Area string }

// Lines returns the series that have points, the first one on top.
func (c chart) Lines() (lines []drawnLine) {
	for i := len(c.Series) - 1; i >= 0; i-- {
		points := c.Series[i].Points
		if len(points) == 0 {
			continue
		}
		line := drawnLine{Class: fmt.Sprintf("s%d", i), Line: c.path(points)}
		if len(c.Series) == 1 {
			from, to := c.span()
			line.Area = fmt.Sprintf("%s V%d H%s Z", line.Line, chartHeight, place(across(points[0].At, from, to)))
		}
		lines = append(lines, line)
	}
	return lines
}

// path returns the line through points.
func (c chart) path(points []point) string {
	from, to := c.span()
	high := c.high()
	var out strings.Builder
	for i, p := range points {
		command := " L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&out, "%s%s %s", command, place(across(p.At, from, to)), place(chartHeight*(1-p.Value/high)))
	}
	return out.String()
}

// across returns how far to the right a time is.
func across(at, from, to time.Time) float64 {
	whole := to.Sub(from)
	if whole <= 0 {
		return 0
	}
	return chartWidth * float64(at.Sub(from)) / float64(whole)
}

func place(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") }

// compact writes a number in at most five characters, such as 950, 1.2k and 3.4M.
func compact(v float64) string {
	for _, unit := range []struct {
		from, size float64
		name       string
	}{{1e9, 1e9, "G"}, {1e6, 1e6, "M"}, {1e4, 1e3, "k"}} {
		if math.Abs(v) >= unit.from {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", v/unit.size), ".0") + unit.name
		}
	}
	if math.Abs(v) >= 100 || v == math.Trunc(v) {
		return fmt.Sprintf("%.0f", v)
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}
