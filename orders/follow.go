package orders

import (
	"context"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/worker"
)

// heartbeat is the interval at which a stream without changes sends a comment and reads the order again. So a stream is at most
// this old, even while the process cannot follow the log and notifies no subscriber.
const heartbeat = 15 * time.Second

// follow streams the states of an order. It subscribes before it reads, so that no change in between is missed.
func (s *Service) follow(ctx context.Context, in *orderInput) (*huma.StreamResponse, error) {
	changed, unsubscribe := s.subscribers.subscribe(in.ID)
	order, seq, err := Orders.Read(ctx, s.config.Log, in.ID)
	if err != nil {
		unsubscribe()
		return nil, s.problem(ctx, err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer unsubscribe()
		if stream, ok := api.OpenEventStream(hc); ok && stream.Send("status", seq, newOrderBody(order)) == nil {
			s.streamChanges(hc.Context(), in.ID, stream, seq, changed)
		}
	}}, nil
}

// streamChanges sends the order after each change, until the client disconnects or the process stops. After an error it ends the
// stream: the client connects again and begins with the current state.
func (s *Service) streamChanges(ctx context.Context, id string, stream *api.EventStream, sent uint64, changed <-chan uint64) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		var newest uint64
		select {
		case <-ctx.Done():
			return
		case newest = <-changed:
		case <-ticker.C:
			if stream.Heartbeat() != nil {
				return
			}
		}
		order, seq, err := s.readAtLeast(ctx, id, newest)
		if err != nil {
			return
		}
		if seq <= sent {
			continue
		}
		if stream.Send("status", seq, newOrderBody(order)) != nil {
			return
		}
		sent = seq
	}
}

// readAtLeast reads an order in a state that includes the event at sequence, or its newest state if sequence is 0.
func (s *Service) readAtLeast(ctx context.Context, id string, sequence uint64) (Order, uint64, error) {
	if sequence > 0 {
		return Orders.ReadAtLeast(ctx, s.config.Log, id, sequence)
	}
	return Orders.Read(ctx, s.config.Log, id)
}

// subscribers are the requests that follow orders. One watch of the log notifies all of them.
type subscribers struct {
	mu   sync.Mutex
	byID map[string]map[chan uint64]struct{}
}

func newSubscribers() *subscribers {
	return &subscribers{byID: map[string]map[chan uint64]struct{}{}}
}

// subscribe returns a channel that holds the sequence of the order's newest event, and a function to end the subscription.
func (s *subscribers) subscribe(id string) (changed <-chan uint64, unsubscribe func()) {
	c := make(chan uint64, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[id] == nil {
		s.byID[id] = map[chan uint64]struct{}{}
	}
	s.byID[id][c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.byID[id], c); len(s.byID[id]) == 0 {
			delete(s.byID, id)
		}
	}
}

func (s *subscribers) notify(id string, sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.byID[id] {
		select {
		case <-c: // an older sequence that was not read
		default:
		}
		c <- sequence // has room: only notify sends, under the lock
	}
}

// watch notifies the subscribers of an order when this process reads an event of it.
func (s *subscribers) watch() worker.Watch {
	return worker.Watch{Prefixes: []string{events.PrefixOrder}, Handle: func(e events.Event) {
		if id, ok := events.ParseSubject(events.PrefixOrder, e.Subject); ok {
			s.notify(id, e.Sequence)
		}
	}}
}
