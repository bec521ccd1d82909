package console

import (
	"strings"
	"testing"
	"time"
)

func TestChartDrawsStepsAndLines(t *testing.T) {
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	points := []point{{start, 10}, {start.Add(time.Minute), 0}, {start.Add(2 * time.Minute), 5}}
	line := string(chart{Title: "On hand", Width: 102, Height: 55, Bare: true, Series: []series{{Points: points}}}.SVG())
	if want := `d="M1 3 L51 53 L101 28"`; !strings.Contains(line, want) {
		t.Errorf("line: got %s, want %s", line, want)
	}
	step := string(chart{Title: "On hand", Width: 102, Height: 55, Bare: true, Series: []series{{Points: points, Step: true}}}.SVG())
	if want := `d="M1 3 H51 V53 H101 V28"`; !strings.Contains(step, want) {
		t.Errorf("step: got %s, want %s", step, want)
	}
	if want := `aria-label="On hand; now 5, between 0 and 10"`; !strings.Contains(step, want) {
		t.Errorf("label: got %s, want %s", step, want)
	}
}

func TestChartEscapesNamesAndHasNoInlineStyle(t *testing.T) {
	hostile := `"><script>alert(1)</script>`
	svg := string(chart{Title: hostile, Series: []series{{Name: hostile, Points: []point{{time.Unix(0, 0), 1}}}}}.SVG())
	if strings.Contains(svg, "<script") || strings.Contains(svg, "style=") {
		t.Errorf("got markup of a name or a style attribute: %s", svg)
	}
	if empty := string(chart{Title: "Nothing"}.SVG()); strings.Contains(empty, "NaN") || strings.Contains(empty, "Inf") {
		t.Errorf("chart without points: got %s, want axes", empty)
	}
}

func TestCompactNumbersKeepTheirSize(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 99.5: "99.5", 950: "950", 1234: "1234", 12345: "12.3k", 2500000: "2.5M", -20000: "-20k"} {
		if got := compact(v); got != want {
			t.Errorf("compact(%v) = %q, want %q", v, got, want)
		}
	}
}
