package console

import (
	"net/http"
	"time"
)

// overview is the data of the first page.
type overview struct {
	Now        time.Time
	Problems   []problem
	Backup     takenBackup
	Today      sums
	LastWeek   sums      // of the same weekday up to the same time
	Since      time.Time // from when on orders are counted
	Complete   bool      // whether all of them are
	Comparable bool      // last week's day is counted completely
	Orders     chart
	Purchases  chart
	Lag        chart
	P99        chart
	State      state
}

func (c *console) overview(r *http.Request) overview {
	now := c.Now()
	s := c.gauges.now(r.Context())
	start := startOfDay(now)
	o := overview{Now: now, Problems: append(c.disputeProblems(r), c.problems(r.Context(), s)...), Backup: c.tally.lastBackup(), Today: c.tally.between(start, now),
		LastWeek: c.tally.between(start.Add(-week), now.Add(-week)), State: s}
	o.Since, o.Complete = c.tally.scope()
	o.Comparable = o.Complete && !o.Since.After(start.Add(-week))
	o.Orders = c.ordersChart(start, now)
	spark := func(title, unit string, value func(sample) float64) chart {
		return chart{Title: title, Unit: unit, Series: []series{{Points: s.line(value)}}}
	}
	o.Purchases = spark("Purchases a second", "", func(x sample) float64 { return x.Purchases })
	o.Lag = spark("Lag of the slowest lane, in events", "", func(x sample) float64 { return x.Lag })
	o.P99 = spark("From payment to confirmation, p99", " ms", func(x sample) float64 { return x.P99 })
	return o
}

// chartStep is the width of a step in the chart of today's orders.
const chartStep = 15 * time.Minute

// ordersChart draws the orders of today beside those of the same weekday of last week.
func (c *console) ordersChart(start, now time.Time) chart {
	drawn := chart{Title: "Orders in 15 minutes", Broad: true, Series: []series{{Name: "today"}, {Name: "a week ago"}}}
	for at := start; at.Before(start.Add(day)); at = at.Add(chartStep) {
		if at.Before(now) {
			drawn.Series[0].Points = append(drawn.Series[0].Points, point{at, float64(c.tally.between(at, at.Add(chartStep-time.Minute)).Orders)})
		}
		before := c.tally.between(at.Add(-week), at.Add(chartStep-time.Minute-week))
		drawn.Series[1].Points = append(drawn.Series[1].Points, point{at, float64(before.Orders)})
	}
	return drawn
}

// Value is the newest value of a chart of one line, with its unit.
func (c chart) Value() string {
	if len(c.Series) == 0 || len(c.Series[0].Points) == 0 {
		return "–"
	}
	points := c.Series[0].Points
	return compact(points[len(points)-1].Value) + c.Unit
}

// Change says how the orders of today compare with last week's.
func (o overview) Change() string {
	switch today, before := o.Today.Orders, o.LastWeek.Orders; {
	case !o.Comparable, before == 0:
		return ""
	case today >= before:
		return "+" + number((today-before)*100/before) + " %"
	default:
		return "−" + number((before-today)*100/before) + " %"
	}
}

func (c *console) showOverview(w http.ResponseWriter, r *http.Request) error {
	return c.render(w, r, "overview.html", page{Title: "Overview", Nav: "Overview", Command: "ops lag", Script: "live.js", Data: c.overview(r)})
}

// overviewParts are the parts of the page that change while it is open.
var overviewParts = []string{"problems", "numbers", "charts"}

// liveOverview sends the parts of the overview again and again.
func (c *console) liveOverview(r *http.Request, s *stream) error {
	return s.repeat(r.Context(), func() error { return c.sendParts(s, "overview.html", overviewParts, c.overview(r)) })
}
