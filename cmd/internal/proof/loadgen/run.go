package loadgen

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Run is a number of shoppers who buy what a source gives them.
type Run struct {
	Baskets     Source
	Buy         func(context.Context, Basket) Purchase
	Concurrency int
	Observers   []func(Purchase) // hear of every end of a purchase, one at a time
	Rate        float64          // purchases begun per second at most; default 0: as soon as a shopper is free

	mu       sync.Mutex // guards Baskets and due
	due      time.Time  // when the next purchase may begin
	inFlight atomic.Int64
}

// InFlight is how many purchases are going on.
func (r *Run) InFlight() int64 { return r.inFlight.Load() }

// Do returns when the source has no more baskets, or stop is closed, and all purchases that were begun have ended.
// When ctx ends they are called off.
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
		if !ok || !until(ctx, stop, begin) {
			return
		}
		r.inFlight.Add(1)
		p := r.Buy(ctx, basket)
		r.inFlight.Add(-1)
		ends <- p
	}
}

// next is what to buy, and when to begin.
func (r *Run) next() (basket Basket, begin time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if basket, ok = r.Baskets.Next(); !ok || r.Rate <= 0 {
		return basket, begin, ok
	}
	begin = r.due
	if now := time.Now(); begin.Before(now) {
		begin = now // who was late does not hurry afterwards
	}
	r.due = begin.Add(time.Duration(float64(time.Second) / r.Rate))
	return basket, begin, true
}

// until waits for a moment and reports whether it came before the end of the run.
func until(ctx context.Context, stop <-chan struct{}, moment time.Time) bool {
	wait := time.Until(moment)
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
