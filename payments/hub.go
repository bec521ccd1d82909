package payments

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/log"
)

// hub wakes the requests that wait for a payment to change. One tail of the stream serves them all.
type hub struct {
	log    *log.Log
	logger *slog.Logger

	stopped   chan struct{} // closed when the process stops: nobody need wait any longer
	mu        sync.Mutex
	listening bool
	waiting   map[string]map[chan uint64]struct{} // by subject
}

var errNotListening = errors.New("payments are not being followed")

// hubRetry is how long to wait before the tail is opened again after it broke.
const hubRetry = time.Second

func newHub(l *log.Log, logger *slog.Logger) *hub {
	return &hub{log: l, logger: logger, stopped: make(chan struct{}), waiting: map[string]map[chan uint64]struct{}{}}
}

// Run follows the stream until ctx ends, and then sends everybody who waits home. It is called once.
func (s *Service) Run(ctx context.Context) error {
	defer close(s.hub.stopped)
	for {
		err := s.hub.follow(ctx, s.remember)
		if ctx.Err() != nil {
			return nil
		}
		s.logger.Warn("follow payments", "error", err)
		timer := time.NewTimer(hubRetry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Ready returns nil when the domain can serve, else what is missing.
func (s *Service) Ready() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if !s.hub.listening {
		return errNotListening
	}
	return nil
}

// remember notes which of Stripe's events are in the journal, so that the reconciler need not look at them.
func (s *Service) remember(e events.Event) {
	if w, ok := e.Payload.(events.WebhookReceived); ok {
		s.cursor.noted.Add(w.StripeEvent, struct{}{})
	}
}

func (h *hub) follow(ctx context.Context, also func(events.Event)) error {
	defer h.listen(false)
	return h.log.Tail(ctx, events.StreamPayments, []string{events.PrefixPayment + "*"}, log.FromNow,
		func() { h.listen(true) },
		func(e events.Event) error {
			also(e)
			h.wake(e.Subject, e.Sequence)
			return nil
		})
}

// listen notes whether news arrives. Whoever waits is woken when it does again, because of what may have been missed.
func (h *hub) listen(on bool) {
	h.mu.Lock()
	h.listening = on
	subjects := make([]string, 0, len(h.waiting))
	for subject := range h.waiting {
		subjects = append(subjects, subject)
	}
	h.mu.Unlock()
	for _, subject := range subjects {
		h.wake(subject, 0)
	}
}

// wait returns a channel on which the sequence of the newest event of a payment arrives; 0 stands for "look yourself".
func (h *hub) wait(orderID string) (news <-chan uint64, stop func()) {
	subject, ch := events.PrefixPayment+orderID, make(chan uint64, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[subject] == nil {
		h.waiting[subject] = map[chan uint64]struct{}{}
	}
	h.waiting[subject][ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.waiting[subject], ch)
		if len(h.waiting[subject]) == 0 {
			delete(h.waiting, subject)
		}
	}
}

// wake hands the sequence to everybody who waits. Only the newest matters, so it takes the place of one not yet read.
func (h *hub) wake(subject string, seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.waiting[subject] {
		select {
		case <-ch:
		default:
		}
		ch <- seq // room for one, and nobody else sends: the lock is ours
	}
}
