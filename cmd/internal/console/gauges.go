package console

import (
	"context"
	"sync"
	"time"

	"tillstream/events/replay"
)

const (
	sampleEvery = 2 * time.Second
	maxSamples  = 450 // 15 minutes
	readWithin  = 5 * time.Second
)

// gauges keeps the state of the lanes and the values of the live charts, read once for all pages. It is safe for concurrent use.
type gauges struct {
	config Config
	tally  *tally

	mu      sync.Mutex
	samples []sample
	lanes   []lane
	causes  []replay.Cause // of the open dead letters
	read    time.Time      // when lanes and causes were read
	err     error          // of the last read
}

// sample has the values at one time.
type sample struct {
	At                  time.Time
	Purchases, Lag, P99 float64 // per second; events; milliseconds
}

// lane is a lane and how fast it reads.
type lane struct {
	replay.Lane
	Rate float64 // events a second
}

// run reads until ctx ends.
func (g *gauges) run(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		g.sample(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sample reads lanes and dead letters, and adds one value to each chart.
func (g *gauges) sample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	now := g.config.Now()
	found, err := g.config.Log.Lanes(ctx)
	var letters []replay.DeadLetter
	if err == nil {
		letters, err = g.config.Log.DeadLetters(ctx, 0)
	}
	purchases, p99 := g.purchases(now), g.tally.p99(now.Add(-time.Minute))
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err = err; err != nil {
		return
	}
	next := sample{At: now, Purchases: purchases, P99: float64(p99.Microseconds()) / 1000}
	for _, l := range found {
		next.Lag = max(next.Lag, float64(l.Lag))
	}
	g.lanes, g.causes = g.withRates(found, now), replay.Causes(openOnly(letters))
	g.read, g.samples = now, append(g.samples[max(0, len(g.samples)+1-maxSamples):], next)
}

// purchases is how many orders a second were placed in the last minute.
func (g *gauges) purchases(now time.Time) float64 {
	return float64(g.tally.between(now.Add(-time.Minute), now.Add(-time.Second)).Orders) / time.Minute.Seconds()
}

// withRates returns lanes with the events a second that they have read since the last sample.
func (g *gauges) withRates(found []replay.Lane, now time.Time) []lane {
	before := map[string]uint64{}
	for _, l := range g.lanes {
		before[l.Name] = l.Position
	}
	seconds := now.Sub(g.read).Seconds()
	lanes := make([]lane, len(found))
	for i, l := range found {
		lanes[i] = lane{Lane: l}
		if position, ok := before[l.Name]; ok && seconds > 0 && l.Position > position {
			lanes[i].Rate = float64(l.Position-position) / seconds
		}
	}
	return lanes
}

func openOnly(letters []replay.DeadLetter) (open []replay.DeadLetter) {
	for _, d := range letters {
		if d.State == replay.StateOpen {
			open = append(open, d)
		}
	}
	return open
}

// state is what gauges knows at one time.
type state struct {
	Samples []sample
	Lanes   []lane
	Causes  []replay.Cause
	Read    time.Time
	Err     error
}

// now returns the state. It reads first if nothing was read for a while, because nothing runs gauges.run.
func (g *gauges) now(ctx context.Context) state {
	g.mu.Lock()
	old := g.config.Now().Sub(g.read) > 2*sampleEvery
	g.mu.Unlock()
	if old {
		g.sample(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return state{Samples: append([]sample(nil), g.samples...), Lanes: g.lanes, Causes: g.causes, Read: g.read, Err: g.err}
}

// line returns one value of all samples.
func (s state) line(value func(sample) float64) []point {
	points := make([]point, len(s.Samples))
	for i, one := range s.Samples {
		points[i] = point{one.At, value(one)}
	}
	return points
}
