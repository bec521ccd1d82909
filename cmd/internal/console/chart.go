package console

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
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
	Step   bool    // the value holds until the next point, as a stock level does; default: straight lines between the points
}

// chart is a drawing of values over time, as SVG with classes of console.css. Its scale begins at 0, or below for negative values.
type chart struct {
	Title  string // what the chart shows, for screen readers
	Unit   string // after numbers, such as " ms"; default none
	Series []series
	Width  int  // default 640
	Height int  // default 160
	Bare   bool // a sparkline: without axes
}

// Sizes of a chart in units of its view box.
const (
	chartWidth  = 640
	chartHeight = 160
	marginLeft  = 48
	marginRight = 8
	marginTop   = 10
	marginBelow = 22
	gridLines   = 4
)

// frame is the area of a chart and its scales.
type frame struct {
	left, top, right, bottom float64
	from, to                 time.Time
	low, high                float64
}

// sized returns the chart with the default for a side that has no length.
func (c chart) sized() chart {
	sized := c
	sized.Width, sized.Height = cmp.Or(c.Width, chartWidth), cmp.Or(c.Height, chartHeight)
	return sized
}

// SVG returns the drawing. A chart without points is only its axes.
func (c chart) SVG() template.HTML { return c.sized().draw() }

func (c chart) draw() template.HTML {
	f := c.frame()
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg class="chart" viewBox="0 0 %d %d" role="img" aria-label="%s">`, c.Width, c.Height, template.HTMLEscapeString(c.describe()))
	if !c.Bare {
		c.axes(&out, f)
	}
	for i, s := range c.Series {
		path := f.path(s)
		if path == "" {
			continue
		}
		if len(c.Series) == 1 {
			fmt.Fprintf(&out, `<path class="area" d="%s V%s H%s Z"/>`, path, place(f.y(max(f.low, 0))), place(f.x(s.Points[0].At)))
		}
		fmt.Fprintf(&out, `<path class="line s%d" d="%s"/>`, i, path)
	}
	out.WriteString("</svg>")
	return template.HTML(out.String()) // made of numbers and escaped text
}

// describe says in words what the chart shows.
func (c chart) describe() string {
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

func (c chart) frame() frame {
	f := frame{left: marginLeft, top: marginTop, right: float64(c.Width - marginRight), bottom: float64(c.Height - marginBelow)}
	if c.Bare {
		f = frame{left: 1, top: 3, right: float64(c.Width - 1), bottom: float64(c.Height - 2)}
	}
	for _, s := range c.Series {
		for _, p := range s.Points {
			if f.from.IsZero() || p.At.Before(f.from) {
				f.from = p.At
			}
			if p.At.After(f.to) {
				f.to = p.At
			}
			f.low, f.high = min(f.low, p.Value), max(f.high, p.Value)
		}
	}
	f.high = roundUp(f.high)
	if f.low < 0 {
		f.low = -roundUp(-f.low)
	}
	if f.high == f.low {
		f.high = f.low + 1
	}
	return f
}

// roundUp returns the next of 1, 2, 4 and 8 times a power of ten, so that its quarters are round numbers.
func roundUp(v float64) float64 {
	if v <= 0 {
		return 0
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 4, 8} {
		if v <= step*power {
			return step * power
		}
	}
	return 10 * power
}

func (f frame) x(at time.Time) float64 {
	whole := f.to.Sub(f.from)
	if whole <= 0 {
		return f.left
	}
	return f.left + (f.right-f.left)*float64(at.Sub(f.from))/float64(whole)
}

func (f frame) y(v float64) float64 { return f.bottom - (f.bottom-f.top)*(v-f.low)/(f.high-f.low) }

// path returns the line through the points of a series, "" without points.
func (f frame) path(s series) string {
	var out strings.Builder
	for i, p := range s.Points {
		x, y := place(f.x(p.At)), place(f.y(p.Value))
		switch {
		case i == 0:
			fmt.Fprintf(&out, "M%s %s", x, y)
		case s.Step:
			fmt.Fprintf(&out, " H%s V%s", x, y)
		default:
			fmt.Fprintf(&out, " L%s %s", x, y)
		}
	}
	return out.String()
}

// axes draws the lines of the grid with their numbers, and the first and last time.
func (c chart) axes(out *bytes.Buffer, f frame) {
	for i := range gridLines + 1 {
		v := f.low + (f.high-f.low)*float64(i)/gridLines
		y := place(f.y(v))
		fmt.Fprintf(out, `<path class="grid" d="M%d %s H%s"/><text x="%d" y="%s" text-anchor="end" dominant-baseline="middle">%s</text>`,
			marginLeft, y, place(f.right), marginLeft-6, y, compact(v))
	}
	if f.from.IsZero() {
		return
	}
	layout := "15:04"
	if f.to.Sub(f.from) > 24*time.Hour {
		layout = "2 Jan"
	}
	fmt.Fprintf(out, `<text x="%d" y="%d">%s</text><text x="%s" y="%d" text-anchor="end">%s</text>`, marginLeft, c.Height-4, f.from.UTC().Format(layout),
		place(f.right), c.Height-4, f.to.UTC().Format(layout))
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
