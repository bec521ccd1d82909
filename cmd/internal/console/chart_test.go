package console

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestChartDrawsLinesOnAScaleOfRoundNumbers(t *testing.T) {
	start := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	points := []point{{start, 8}, {start.Add(time.Minute), 0}, {start.Add(2 * time.Minute), 5}}
	c := chart{Title: "On hand", Unit: " units", Series: []series{{Points: points}}}
	want := []drawnLine{{Class: "s0", Line: "M0 0 L500 240 L1000 90", Area: "M0 0 L500 240 L1000 90 V240 H0 Z"}}
	if diff := cmp.Diff(want, c.Lines()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	got := []string{c.Label(), c.Top(), c.Half(), strings.Join(c.Times(), " ")}
	if diff := cmp.Diff([]string{"On hand; now 5 units, between 0 and 8", "8", "4", "12:00 12:02"}, got); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
}

func TestChartWithoutPointsIsOnlyItsScale(t *testing.T) {
	c := chart{Title: "Nothing", Series: []series{{Name: "today"}}}
	if lines, times := c.Lines(), c.Times(); len(lines) > 0 || len(times) > 0 || c.Top() != "1" {
		t.Errorf("got lines %v, times %v, top %s; want none, none and 1", lines, times, c.Top())
	}
}

func TestCompactNumbersKeepTheirSize(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 99.5: "99.5", 950: "950", 1234: "1234", 12345: "12.3k", 2500000: "2.5M", -20000: "-20k"} {
		if got := compact(v); got != want {
			t.Errorf("compact(%v) = %q, want %q", v, got, want)
		}
	}
}
