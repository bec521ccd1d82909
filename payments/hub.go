package payments

import (
	"context"
	"errors"
	"sync"

	"tillstream/events"
)

// hub wakes the requests that wait for a payment to change. One watch of the log serves all of them.
type hub struct {
	stopped     chan struct{} // closed when the process stops: nobody need wait any longer
	mu          sync.Mutex
	caughtUp    bool                                // the watch has caught up with the log
	subscribers map[string]map[chan uint64]struct{} // by payment
}

var errNotCaughtUp = errors.New("payments: following the log has not begun")

func newHub() *hub {
	return &hub{stopped: make(chan struct{}), subscribers: map[string]map[chan uint64]struct{}{}}
}

// Run waits until ctx ends, and then answers every request that waits for a payment. It is called once.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	close(s.hub.stopped)
	return nil
}

// Ready returns nil once this process follows the log: before that a request that waits for a payment learns of no change.
func (s *Service) Ready() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if !s.hub.caughtUp {
		return errNotCaughtUp
	}
	return nil
}

// follow handles every event of a payment, and every event of Stripe's, as this process reads it. Which of Stripe's events
// are in the log is noted, so that the reconciler need not look at them. What became of payments is counted.
func (s *Service) follow(e events.Event) {
	s.metrics.count(e)
	if w, ok := e.Payload.(events.WebhookReceived); ok {
		s.cursor.stored.Add(w.StripeEvent, struct{}{})
	}
	if id, ok := events.ParseSubject(events.PrefixPayment, e.Subject); ok {
		s.hub.notify(id, e.Sequence)
	}
}

// ready notes that the watch has caught up. Requests that wait look again, because of what may have been missed.
func (h *hub) markCaughtUp() {
	h.mu.Lock()
	h.caughtUp = true
	ids := make([]string, 0, len(h.subscribers))
	for id := range h.subscribers {
		ids = append(ids, id)
	}
	h.mu.Unlock()
	for _, id := range ids {
		h.notify(id, 0)
	}
}

// wait returns a channel on which the sequence of the newest event of a payment arrives; 0 stands for "look yourself".
func (h *hub) subscribe(id string) (news <-chan uint64, stop func()) {
	ch := make(chan uint64, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers[id] == nil {
		h.subscribers[id] = map[chan uint64]struct{}{}
	}
	h.subscribers[id][ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers[id], ch)
		if len(h.subscribers[id]) == 0 {
			delete(h.subscribers, id)
		}
	}
}

// wake hands the sequence to everybody who waits. Only the newest matters, so it takes the place of one not yet read.
func (h *hub) notify(id string, seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.subscribers[id] {
		select {
		case <-ch:
		default:
		}
		ch <- seq // room for one, and nobody else sends: the lock is ours
	}
}
