package payments

import (
	"context"
	"errors"
	"sync"

	"tillstream/events"
)

// hub notifies the requests that wait for a payment to change. All of them share one watch of the log.
type hub struct {
	stopped     chan struct{} // closed when the process stops, which ends every wait
	mu          sync.Mutex
	caughtUp    bool                                // the watch has caught up with the log
	subscribers map[string]map[chan uint64]struct{} // by payment
}

var errNotCaughtUp = errors.New("payments: the watch has not caught up with the log")

func newHub() *hub {
	return &hub{stopped: make(chan struct{}), subscribers: map[string]map[chan uint64]struct{}{}}
}

// Run waits until ctx ends and then ends the wait of every request. It is called once.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	close(s.hub.stopped)
	return nil
}

// Ready returns nil once this process follows the log. Before that, a waiting request is not notified of changes.
func (s *Service) Ready() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if !s.hub.caughtUp {
		return errNotCaughtUp
	}
	return nil
}

// follow handles every event of a payment and every webhook as this process reads it. It counts results, records which of
// Stripe's events are in the log, so that the reconciler skips them, and notifies waiting requests.
func (s *Service) follow(e events.Event) {
	s.metrics.count(e)
	if w, ok := e.Payload.(events.WebhookReceived); ok {
		s.cursor.stored.Add(w.StripeEvent, struct{}{})
	}
	if id, ok := events.ParseSubject(events.PrefixPayment, e.Subject); ok {
		s.hub.notify(id, e.Sequence)
	}
}

// markCaughtUp records that the watch has caught up. Waiting requests read again, because they may have missed a change.
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

// subscribe returns a channel that receives the sequence of a payment's newest event, or 0 if the payment must be read because
// events may have been missed.
func (h *hub) subscribe(id string) (changed <-chan uint64, stop func()) {
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

// notify sends the sequence to every subscriber. It replaces an unread one, because only the newest matters.
func (h *hub) notify(id string, seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.subscribers[id] {
		select {
		case <-ch:
		default:
		}
		ch <- seq // has room: only notify sends, under the lock
	}
}
