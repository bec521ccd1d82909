package project

import "time"

// How long a query may take without a rest, how long it rests for the time beyond that, and at most.
const (
	quickEnough = 100 * time.Millisecond
	restFactor  = 50
	longestRest = 15 * time.Minute
)

// Pace keeps the query of a sweep from wearing a database down. With an index it takes milliseconds and may be asked
// whenever the sweep comes; FerretDB v1 on SQLite reads the whole collection for it, which at 60,000 orders took a third
// of the shop's processor time. So a query that took more than a tenth of a second rests for fifty times as long as it took
// more, at most a quarter of an hour. The zero Pace is ready; it is for one sweep, which runs once at a time.
type Pace struct {
	Now   func() time.Time // default time.Now
	ready time.Time
}

// Ask runs the query, unless it has to rest. One that fails is asked again the next time.
func (p *Pace) Ask(query func() error) error {
	now := p.Now
	if now == nil {
		now = time.Now
	}
	begun := now()
	if begun.Before(p.ready) {
		return nil
	}
	if err := query(); err != nil {
		return err
	}
	ended := now()
	p.ready = ended.Add(min(restFactor*max(ended.Sub(begun)-quickEnough, 0), longestRest))
	return nil
}
