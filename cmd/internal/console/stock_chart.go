package console

import (
	"fmt"
	"strings"
	"time"

	"tillstream/cmd/internal/output"
	"tillstream/events"
	"tillstream/events/replay"
)

// The chart's coordinates. The page stretches the picture to the width that it has; labels are text beside it.
const (
	stockWidth  = 1000
	stockHeight = 240
)

// chartPoints is the most points of a chart: two pixels each on a wide screen.
const chartPoints = 400

// stockChart is the stock of a SKU over time as steps. Each line has a band where several movements share a point: from the least to
// the greatest value.
type stockChart struct {
	Lines            []stockLine
	Top, Half        int64 // labels of the vertical axis, which begins at 0
	From, Middle, To time.Time
	Last             time.Time // of the last movement
	Label            string    // what the picture shows, for those who cannot see it
	Joined           bool      // whether movements share points
	Unchanged        bool      // the chart ends soon after the last movement, because it was long ago
}

// stockLine is one number over time.
type stockLine struct {
	Name  string
	Class string
	Steps string // path of the line
	Band  string // path of the rectangles from the least to the greatest value; "" if each movement has its own point
	Now   int64
}

// newStockChart draws a course up to now. A course without points has no chart.
func newStockChart(course *replay.StockCourse, now time.Time) *stockChart {
	points := course.Points
	if len(points) == 0 {
		return nil
	}
	first, last := points[0], points[len(points)-1]
	chart := &stockChart{From: first.From, To: now, Joined: course.Movements > len(points)}
	// Without an end, the movements of a minute would be one dot beside a week in which nothing happened.
	if span := last.To.Sub(first.From); now.Sub(last.To) > span/3 && span > 0 {
		chart.To, chart.Unchanged = last.To.Add(span/20), true
	}
	if !chart.To.After(last.To) {
		chart.To = last.To
	}
	chart.Last = last.To
	chart.Middle = chart.From.Add(chart.To.Sub(chart.From) / 2)
	var most int64
	for _, p := range points {
		most = max(most, p.Most.OnHand, p.Most.Held)
	}
	chart.Top = roundUpEven(most)
	chart.Half = chart.Top / 2
	for _, n := range stockNumbers {
		line := stockLine{Name: n.name, Class: n.class, Now: n.of(last.Last)}
		line.Steps, line.Band = chart.draw(points, n.of)
		chart.Lines = append(chart.Lines, line)
	}
	chart.Label = fmt.Sprintf("Stock over %s: at most %s on hand; now %s on hand, %s held, %s available", output.Count(course.Movements, "movement"),
		output.Number(most), output.Number(last.Last.OnHand), output.Number(last.Last.Held), output.Number(last.Last.Available))
	return chart
}

var stockNumbers = []struct {
	name, class string
	of          func(events.StockLevel) int64
}{
	{"on hand", "on-hand", func(l events.StockLevel) int64 { return l.OnHand }},
	{"available", "available", func(l events.StockLevel) int64 { return l.Available }},
	{"held", "held", func(l events.StockLevel) int64 { return l.Held }},
}

// draw returns the paths of one number.
func (c *stockChart) draw(points []replay.CoursePoint, of func(events.StockLevel) int64) (steps, band string) {
	var line, bands strings.Builder
	for i, p := range points {
		x, y := c.x(p.From), c.y(of(p.Last))
		if i == 0 {
			fmt.Fprintf(&line, "M%.1f %.1f", x, y)
		} else {
			fmt.Fprintf(&line, "H%.1fV%.1f", x, y)
		}
		if p.Movements > 1 {
			right := max(c.x(p.To), x+1)
			fmt.Fprintf(&bands, "M%.1f %.1fH%.1fV%.1fH%.1fZ", x, c.y(of(p.Most)), right, c.y(of(p.Least)), x)
		}
	}
	fmt.Fprintf(&line, "H%d", stockWidth)
	return line.String(), bands.String()
}

func (c *stockChart) x(t time.Time) float64 {
	span := c.To.Sub(c.From)
	if span <= 0 {
		return 0
	}
	return stockWidth * float64(t.Sub(c.From)) / float64(span)
}

func (c *stockChart) y(n int64) float64 {
	return stockHeight - stockHeight*float64(n)/float64(c.Top)
}

// roundUpEven returns an even number of at least n, with few digits, for the top of an axis.
func roundUpEven(n int64) int64 {
	for scale := int64(1); ; scale *= 10 {
		for _, step := range []int64{2, 4, 6, 10} {
			if top := step * scale; top >= n {
				return top
			}
		}
	}
}
