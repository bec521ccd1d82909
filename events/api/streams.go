package api

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// StreamLimits bound the event streams, and the requests that wait for something to happen, that a process keeps open at a time.
// Each costs memory for as long as it is open, so without limits one client could take all of it.
type StreamLimits struct {
	Total     int // default 3000
	PerClient int // default 100: many shoppers may share an address
}

// Streams counts the open event streams, or waiting requests, of each client.
type Streams struct {
	limits StreamLimits

	mu    sync.Mutex
	total int
	open  map[string]int // by client
}

// NewStreams returns an error when a limit is negative.
func NewStreams(limits StreamLimits) (*Streams, error) {
	if limits.Total < 0 || limits.PerClient < 0 {
		return nil, fmt.Errorf("limits of event streams: got %d in total and %d per client, want at least 1", limits.Total, limits.PerClient)
	}
	if limits.Total == 0 {
		limits.Total = 3000
	}
	if limits.PerClient == 0 {
		limits.PerClient = 100
	}
	return &Streams{limits: limits, open: map[string]int{}}, nil
}

// Limit is the middleware of a route that answers with an event stream. A client with too many open streams gets 429, and any
// client 503 when the process has too many; both are told when to try again. A page then polls. The client is that of
// [IdentifyClient], which must come before; one that is not known has no limit of its own.
func (s *Streams) Limit(router huma.API) Middleware {
	return func(ctx huma.Context, next func(huma.Context)) {
		client := ClientOf(ctx.Context())
		if status := s.begin(client); status != http.StatusOK {
			ctx.SetHeader("Retry-After", streamRetryAfter)
			_ = huma.WriteErr(router, ctx, status, "Too many of these requests are open. Please ask for the present state instead.") // fails only when the client has left
			return
		}
		defer s.end(client)
		next(ctx)
	}
}

// LimitWaits is Limit for a route whose requests wait only if their query parameter wait is not 0.
func (s *Streams) LimitWaits(router huma.API) Middleware {
	limit := s.Limit(router)
	return func(ctx huma.Context, next func(huma.Context)) {
		if wait := ctx.Query("wait"); wait == "" || wait == "0" {
			next(ctx)
			return
		}
		limit(ctx, next)
	}
}

// streamRetryAfter is how many seconds a client waits before it opens a stream again.
const streamRetryAfter = "5"

func (s *Streams) begin(client string) (status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case client != "" && s.open[client] >= s.limits.PerClient:
		return http.StatusTooManyRequests
	case s.total >= s.limits.Total:
		return http.StatusServiceUnavailable
	}
	s.total++
	s.open[client]++
	return http.StatusOK
}

func (s *Streams) end(client string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.open[client]--; s.open[client] == 0 {
		delete(s.open, client)
	}
}
