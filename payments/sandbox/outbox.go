package sandbox

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// delivery is an event to be delivered, and how often that was tried.
type delivery struct {
	place   int
	attempt int
}

// outbox orders deliveries: fresh ones as they come, failed ones when they are
// due again.
type outbox struct {
	wake chan struct{} // holds one token when something changed

	mu     sync.Mutex
	opened bool // there is an address to deliver to
	fresh  []delivery
	failed retryHeap
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

func (o *outbox) push(place int) {
	o.mu.Lock()
	o.fresh = append(o.fresh, delivery{place: place})
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) retry(d delivery, after time.Duration) {
	o.mu.Lock()
	heap.Push(&o.failed, dueDelivery{delivery: d, due: time.Now().Add(after)})
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) open(opened bool) {
	o.mu.Lock()
	o.opened = opened
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default: // a token is waiting already
	}
}

// feed hands deliveries to work until ctx ends. A delivery that nobody took by
// then is put back.
func (o *outbox) feed(ctx context.Context, work chan<- delivery) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		d, ok, wait := o.next(time.Now())
		if ok {
			select {
			case work <- d:
				continue
			case <-ctx.Done():
				o.retry(d, 0)
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-o.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// next takes the delivery that is due, or tells how long to wait for one.
func (o *outbox) next(now time.Time) (d delivery, ok bool, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	const idle = time.Hour
	switch {
	case !o.opened:
		return delivery{}, false, idle
	case len(o.failed) > 0 && !o.failed[0].due.After(now):
		return heap.Pop(&o.failed).(dueDelivery).delivery, true, 0
	case len(o.fresh) > 0:
		d, o.fresh = o.fresh[0], o.fresh[1:]
		return d, true, 0
	case len(o.failed) > 0:
		return delivery{}, false, o.failed[0].due.Sub(now)
	}
	return delivery{}, false, idle
}

// dueDelivery is a delivery that failed and waits for its next try.
type dueDelivery struct {
	delivery
	due time.Time
}

// retryHeap has the delivery that is due first on top.
type retryHeap []dueDelivery

// Len implements heap.Interface.
func (h retryHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h retryHeap) Less(a, b int) bool { return h[a].due.Before(h[b].due) }

// Swap implements heap.Interface.
func (h retryHeap) Swap(a, b int) { h[a], h[b] = h[b], h[a] }

// Push implements heap.Interface.
func (h *retryHeap) Push(d any) { *h = append(*h, d.(dueDelivery)) }

// Pop implements heap.Interface.
func (h *retryHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
