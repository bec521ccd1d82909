package orders

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// heartbeat keeps proxies from closing a quiet stream. The order is read again with it, so a stream is current at the latest
// then, even while this process cannot read on in the log and its watchers are told nothing.
const heartbeat = 15 * time.Second

// follow streams an order's states. It asks to be told first and reads then, so nothing falls in between.
func (s *Service) follow(ctx context.Context, in *orderInput) (*huma.StreamResponse, error) {
	if !s.allowed(in) {
		return nil, errHidden
	}
	changed, stop := s.watch.watch(in.ID)
	order, seq, err := Orders.Read(ctx, s.config.Log, in.ID)
	if err != nil {
		stop()
		return nil, s.problem(err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer stop()
		hc.SetHeader("Content-Type", "text/event-stream")
		hc.SetHeader("Cache-Control", "no-store")
		hc.SetHeader("X-Accel-Buffering", "no") // nginx would hold the events back
		if hc.Method() == http.MethodHead {
			return // its client, such as a storefront, sends the next request on this connection: it would wait here
		}
		st := &stream{w: hc.BodyWriter()}
		st.send(order, seq)
		s.followOn(hc.Context(), in.ID, st, changed)
	}}, nil
}

func (s *Service) followOn(ctx context.Context, id string, st *stream, changed <-chan uint64) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for st.err == nil {
		var at uint64
		select {
		case <-ctx.Done():
			return
		case at = <-changed:
		case <-ticker.C:
			st.comment()
		}
		var order Order
		var seq uint64
		var err error
		if at > 0 {
			order, seq, err = Orders.ReadAtLeast(ctx, s.config.Log, id, at)
		} else {
			order, seq, err = Orders.Read(ctx, s.config.Log, id)
		}
		if err != nil {
			return // the client connects again and starts from the current state
		}
		st.send(order, seq)
	}
}

// stream writes Server-Sent Events (html.spec.whatwg.org, §9.2).
type stream struct {
	w    io.Writer
	last uint64
	err  error
}

func (st *stream) send(o Order, seq uint64) {
	if seq <= st.last {
		return
	}
	data, err := json.Marshal(newOrderBody(o))
	if err != nil {
		st.err = err
		return
	}
	st.last = seq
	st.write("event: status\nid: %d\ndata: %s\n\n", seq, data)
}

func (st *stream) comment() { st.write(": still here\n\n") }

func (st *stream) write(format string, args ...any) {
	if _, st.err = fmt.Fprintf(st.w, format, args...); st.err == nil {
		if flusher, ok := st.w.(http.Flusher); ok {
			flusher.Flush()
		}
	}
}
