package payments

import (
	"sync"
	"time"
)

// When the circuit breaker opens, and for how long before it lets one request through as a probe.
const (
	failuresToOpen = 10 // in a row
	openFor        = 5 * time.Second
)

// breaker is the circuit breaker of all requests to Stripe of a process:
//
//	closed ── failuresToOpen failures in a row ──► open ── openFor has passed ──► half-open: one request is let through
//	   ▲                                             ▲                                │ failed       │ succeeded
//	   │                                             └────────────────────────────────┘              │
//	   └─────────────────────────────────────────────────────────────────────────────────────────────┘
//
// The circuit of the lane (package worker) is not enough, because the API and the reconciler call Stripe outside of the lane. Both
// work together: [workerError] opens the circuit of the lane while the breaker is open, so acts wait there and their attempts are not
// counted. A library is not used: that of Sony (github.com/sony/gobreaker) links a Redis client and has no clock that a test can move.
type breaker struct {
	now     func() time.Time
	changed func(open bool) // is told when the breaker opens or closes

	mu       sync.Mutex
	failures int // in a row, while closed
	open     bool
	probeAt  time.Time
	probing  bool
}

// allow reports whether a request may be sent. Then done must be called with its success.
func (b *breaker) allow() (done func(success bool), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return b.finished, true
	}
	if b.probing || b.now().Before(b.probeAt) {
		return nil, false
	}
	b.probing = true
	return b.probed, true
}

// finished counts a request that began while the breaker was closed. One that ends after it has opened changes nothing.
func (b *breaker) finished(success bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open:
	case success:
		b.failures = 0
	default:
		if b.failures++; b.failures >= failuresToOpen {
			b.open, b.probeAt = true, b.now().Add(openFor)
			b.changed(true)
		}
	}
}

// probed ends the half-open state.
func (b *breaker) probed(success bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if !success {
		b.probeAt = b.now().Add(openFor)
		return
	}
	b.open, b.failures = false, 0
	b.changed(false)
}
