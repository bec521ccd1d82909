package replay

import (
	"context"
	"errors"
	"time"

	"tillstream/events"
)

// StockCourse is the stock of a SKU over time, as a bounded number of points for a chart. Up to its limit each movement is a point of
// its own. Beyond it, movements that are close in time share a point, which keeps the least and the greatest value of each number:
// no shortage and no peak disappears, however long the ledger is. A course can be extended when there are new movements.
type StockCourse struct {
	Points    []CoursePoint
	Movements int // number of movements in the points

	limit    int
	width    time.Duration // of the intervals whose movements share a point; 0 while each movement has its own
	sequence uint64        // of the last message that was read
}

// CoursePoint is one or several movements of a [StockCourse].
type CoursePoint struct {
	From, To   time.Time         // of the first and the last movement
	Last       events.StockLevel // after the last movement
	Least      events.StockLevel // the least value of each number
	Most       events.StockLevel // the greatest value of each number
	Movements  int
	Revision   uint64 // of the last movement
	Incomplete bool   // the ledger has messages here that cannot be read
}

// NewStockCourse returns an empty course with at most limit points, at least 4.
func NewStockCourse(limit int) *StockCourse { return &StockCourse{limit: max(limit, 4)} }

// Add adds a movement, which is not older than the ones before. A movement with an earlier time, by the clock of another process,
// counts as simultaneous with the last one.
func (c *StockCourse) Add(m Movement) {
	at := m.Time
	if last := len(c.Points) - 1; last >= 0 && at.Before(c.Points[last].To) {
		at = c.Points[last].To
	}
	readable := m.What != "unreadable" && m.What != "void"
	if !readable {
		if last := len(c.Points) - 1; last >= 0 {
			c.Points[last].Incomplete = true
		}
		return
	}
	c.Movements++
	c.Points = c.join(c.Points, CoursePoint{From: at, To: at, Last: m.After, Least: m.After, Most: m.After, Movements: 1, Revision: m.Revision})
	for len(c.Points) > c.limit {
		c.widen()
	}
}

// widen doubles the intervals and joins the points again.
func (c *StockCourse) widen() {
	span := c.Points[len(c.Points)-1].To.Sub(c.Points[0].From)
	c.width = max(2*c.width, 2*span/time.Duration(c.limit), 1)
	var joined []CoursePoint
	for _, p := range c.Points {
		joined = c.join(joined, p)
	}
	c.Points = joined
}

// join adds a point to the last one if both begin in the same interval, and after it otherwise.
func (c *StockCourse) join(points []CoursePoint, p CoursePoint) []CoursePoint {
	last := len(points) - 1
	if last < 0 || c.width == 0 || points[last].From.UnixNano()/int64(c.width) != p.From.UnixNano()/int64(c.width) {
		return append(points, p)
	}
	into := &points[last]
	into.To, into.Last, into.Revision = p.To, p.Last, p.Revision
	into.Movements += p.Movements
	into.Incomplete = into.Incomplete || p.Incomplete
	into.Least = eachNumber(into.Least, p.Least, func(a, b int64) int64 { return min(a, b) })
	into.Most = eachNumber(into.Most, p.Most, func(a, b int64) int64 { return max(a, b) })
	return points
}

// eachNumber combines two levels number by number.
func eachNumber(a, b events.StockLevel, combine func(a, b int64) int64) events.StockLevel {
	return events.StockLevel{OnHand: combine(a.OnHand, b.OnHand), Available: combine(a.Available, b.Available), Held: combine(a.Held, b.Held)}
}

// ExtendCourse adds to the course of a SKU the movements since it was last extended. The first call reads the whole ledger.
func (r *Reader) ExtendCourse(ctx context.Context, sku string, course *StockCourse) error {
	subject, err := StockSubject(sku)
	if err != nil {
		return err
	}
	newest, err := r.Newest(ctx, subject)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || newest.Sequence <= course.sequence {
		return err
	}
	return r.Each(ctx, Range{From: course.sequence + 1, To: newest.Sequence, Subjects: []string{subject}}, func(m Message) error {
		course.Add(movementIn(m))
		course.sequence = m.Sequence
		return nil
	})
}
