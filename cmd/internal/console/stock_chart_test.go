package console

import (
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

func courseOf(limit int, levels ...events.StockLevel) *replay.StockCourse {
	course := replay.NewStockCourse(limit)
	for i, l := range levels {
		course.Add(replay.Movement{Time: time.Unix(int64(100*i), 0), What: "adjusted", After: l})
	}
	return course
}

func TestTheStockChartDrawsSteps(t *testing.T) {
	t.Parallel()
	course := courseOf(10, events.StockLevel{OnHand: 10, Available: 10}, events.StockLevel{OnHand: 10, Available: 5, Held: 5}, events.StockLevel{OnHand: 5, Available: 5})
	chart := newStockChart(course, time.Unix(250, 0))
	want := map[string]string{"on hand": "M0.0 0.0H400.0V0.0H800.0V120.0H1000", "available": "M0.0 0.0H400.0V120.0H800.0V120.0H1000", "held": "M0.0 240.0H400.0V120.0H800.0V240.0H1000"}
	for _, line := range chart.Lines {
		if line.Steps != want[line.Name] || line.Band != "" {
			t.Errorf("%s: got %s and band %q, want %s", line.Name, line.Steps, line.Band, want[line.Name])
		}
	}
	if chart.Top != 10 || chart.Half != 5 || chart.Joined || !strings.Contains(chart.Label, "now 5 on hand, 0 held, 5 available") {
		t.Errorf("got %+v", chart)
	}
}

func TestTheStockChartShowsTheRangeOfJoinedMovements(t *testing.T) {
	t.Parallel()
	levels := make([]events.StockLevel, 100)
	for i := range levels {
		levels[i] = events.StockLevel{OnHand: 50, Available: 50}
	}
	levels[33] = events.StockLevel{}
	chart := newStockChart(courseOf(8, levels...), time.Unix(9900, 0))
	if !chart.Joined || !strings.Contains(chart.Lines[0].Band, "V240.0") {
		t.Errorf("got joined %v and %q, want a band down to zero", chart.Joined, chart.Lines[0].Band)
	}
	if newStockChart(courseOf(8), time.Now()) != nil {
		t.Error("without movements: got a chart, want none")
	}
	for n, want := range map[int64]int64{0: 2, 1: 2, 3: 4, 5: 6, 9: 10, 11: 20, 399: 400, 601: 1000} {
		if got := roundUpEven(n); got != want {
			t.Errorf("top of %d: got %d, want %d", n, got, want)
		}
	}
}
