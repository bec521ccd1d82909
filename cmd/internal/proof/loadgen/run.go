package loadgen

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tillstream/cmd/internal/output"
)

// Run lets a number of shoppers buy the baskets of a source.
type Run struct {
	Baskets     Source
	Buy         func(context.Context, Basket) Purchase
	Concurrency int
	Observers   []func(Purchase) // called for every purchase that ends, one call at a time
	Rate        float64          // purchases begun per second at most; default 0: each shopper begins the next one at once

	mu       sync.Mutex // guards Baskets and due
	due      time.Time  // when the next purchase may begin
	inFlight atomic.Int64
}

// InFlight returns the number of purchases that have begun and not ended.
func (r *Run) InFlight() int64 { return r.inFlight.Load() }

// Do returns when the source has no more baskets or stop is closed, and all purchases that were begun have ended. When ctx
// ends, running purchases are cancelled.
func (r *Run) Do(ctx context.Context, stop <-chan struct{}) {
	ends := make(chan Purchase, r.Concurrency)
	var shoppers sync.WaitGroup
	for range r.Concurrency {
		shoppers.Go(func() { r.shop(ctx, stop, ends) })
	}
	go func() {
		shoppers.Wait()
		close(ends)
	}()
	for p := range ends {
		for _, observe := range r.Observers {
			observe(p)
		}
	}
}

func (r *Run) shop(ctx context.Context, stop <-chan struct{}, ends chan<- Purchase) {
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		basket, begin, ok := r.next()
		if !ok || !sleepUntil(ctx, stop, begin) {
			return
		}
		r.inFlight.Add(1)
		p := r.Buy(ctx, basket)
		r.inFlight.Add(-1)
		ends <- p
	}
}

// next returns what to buy, and when to begin.
func (r *Run) next() (basket Basket, begin time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if basket, ok = r.Baskets.Next(); !ok || r.Rate <= 0 {
		return basket, begin, ok
	}
	begin = r.due
	if now := time.Now(); begin.Before(now) {
		begin = now // no burst after a delay: the rate is a maximum
	}
	r.due = begin.Add(time.Duration(float64(time.Second) / r.Rate))
	return basket, begin, true
}

// sleepUntil waits until the given time and reports false if the run ends before it.
func sleepUntil(ctx context.Context, stop <-chan struct{}, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
	case <-ctx.Done():
	}
	return false
}

// ProgressFunc is called with the progress of a long operation. A total of 0 means that the total is unknown.
type ProgressFunc func(operation string, done, total int)

// Progress displays the progress of a run at intervals.
type Progress struct {
	To       io.Writer
	Every    time.Duration // default 1 s
	Terminal bool          // each line replaces the one before
	Total    int           // purchases of the run; 0: unknown
	Run      *Run
	Tally    *Tally
	More     func() string // appended to the line; default: nothing
}

// Show writes lines until ctx ends or a line cannot be written.
func (p Progress) Show(ctx context.Context) {
	every := p.Every
	if every == 0 {
		every = time.Second
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	before, last := 0, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			ended, confirmed, failed := p.Tally.Counts()
			if _, err := io.WriteString(p.To, p.line(ended, failed, float64(confirmed-before)/now.Sub(last).Seconds())); err != nil {
				return
			}
			before, last = confirmed, now
		}
	}
}

func (p Progress) line(ended, failed int, rate float64) string {
	done := fmt.Sprint(ended)
	if p.Total > 0 {
		done = fmt.Sprintf("%d/%d", ended, p.Total)
	}
	text := fmt.Sprintf("%s done, %.1f orders/s, %d in flight, %d failed", done, rate, p.Run.InFlight(), failed)
	if p.More != nil {
		text += p.More()
	}
	if p.Terminal {
		return output.ProgressLine(text)
	}
	return text + "\n"
}

// Clear returns the control sequence that removes the line before other output is written.
func (p Progress) Clear() string {
	if p.Terminal {
		return output.ClearLine
	}
	return ""
}
