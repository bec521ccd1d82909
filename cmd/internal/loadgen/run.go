package loadgen

import (
	"context"
	"sync"
	"sync/atomic"
)

// Run is a number of shoppers who buy what a source gives them.
type Run struct {
	Baskets     Source
	Buy         func(context.Context, Basket) Purchase
	Concurrency int
	Observers   []func(Purchase) // hear of every end of a purchase, one at a time

	mu       sync.Mutex // guards Baskets
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
		basket, ok := r.next()
		if !ok {
			return
		}
		r.inFlight.Add(1)
		p := r.Buy(ctx, basket)
		r.inFlight.Add(-1)
		ends <- p
	}
}

func (r *Run) next() (Basket, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Baskets.Next()
}
