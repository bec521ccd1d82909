package sandbox

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// delivery is an event to deliver and the number of earlier attempts.
type delivery struct {
	index   int
	attempt int
	held    bool // a fault has held it back
}

// deliveryQueue orders deliveries: new ones as they arrive, failed ones when they are due again.
type deliveryQueue struct {
	wake chan struct{} // has a token after a change

	mu     sync.Mutex
	opened bool // a webhook URL is set
	fresh  []delivery
	failed retryHeap
}

func newDeliveryQueue() *deliveryQueue { return &deliveryQueue{wake: make(chan struct{}, 1)} }

func (q *deliveryQueue) push(index int) {
	q.mu.Lock()
	q.fresh = append(q.fresh, delivery{index: index})
	q.mu.Unlock()
	q.signal()
}

func (q *deliveryQueue) retry(d delivery, after time.Duration) {
	q.mu.Lock()
	heap.Push(&q.failed, dueDelivery{delivery: d, due: time.Now().Add(after)})
	q.mu.Unlock()
	q.signal()
}

func (q *deliveryQueue) open(opened bool) {
	q.mu.Lock()
	q.opened = opened
	q.mu.Unlock()
	q.signal()
}

func (q *deliveryQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // it has a token
	}
}

// feed sends deliveries to work until ctx ends. It puts back a delivery that was not received by then.
func (q *deliveryQueue) feed(ctx context.Context, work chan<- delivery) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		d, ok, wait := q.next(time.Now())
		if ok {
			select {
			case work <- d:
				continue
			case <-ctx.Done():
				q.retry(d, 0)
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-q.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// next removes the delivery that is due, or returns how long to wait for one.
func (q *deliveryQueue) next(now time.Time) (d delivery, ok bool, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	const idle = time.Hour
	switch {
	case !q.opened:
		return delivery{}, false, idle
	case len(q.failed) > 0 && !q.failed[0].due.After(now):
		return heap.Pop(&q.failed).(dueDelivery).delivery, true, 0
	case len(q.fresh) > 0:
		d, q.fresh = q.fresh[0], q.fresh[1:]
		return d, true, 0
	case len(q.failed) > 0:
		return delivery{}, false, q.failed[0].due.Sub(now)
	}
	return delivery{}, false, idle
}

// dueDelivery is a failed delivery and the time of its next attempt.
type dueDelivery struct {
	delivery
	due time.Time
}

// retryHeap has the delivery that is due first at index 0.
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
