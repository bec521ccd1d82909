package api

import (
	"fmt"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// EventStreamResponse describes a route that answers with an [EventStream]. Each call returns a new map, because
// huma.Register adds the error responses of its route to it.
func EventStreamResponse() map[string]*huma.Response {
	return map[string]*huma.Response{"200": {Description: "An event stream", Content: map[string]*huma.MediaType{"text/event-stream": {}}}}
}

// EventStream writes Server-Sent Events (html.spec.whatwg.org §9.2).
type EventStream struct{ w io.Writer }

// OpenEventStream sets the headers of an event stream. ok is false for a HEAD request, which has no body: the client would wait
// for the end of the stream before it sends the next request on the connection.
func OpenEventStream(ctx huma.Context) (stream *EventStream, ok bool) {
	ctx.SetHeader("Content-Type", "text/event-stream")
	ctx.SetHeader("Cache-Control", "no-store")
	ctx.SetHeader("X-Accel-Buffering", "no") // nginx would buffer the events
	return &EventStream{w: ctx.BodyWriter()}, ctx.Method() != http.MethodHead
}

// Send writes one event with data as JSON and flushes it.
func (s *EventStream) Send(event string, id uint64, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("send %s event: %w", event, err)
	}
	return s.write("event: %s\nid: %d\ndata: %s\n\n", event, id, body)
}

// Heartbeat writes a comment, which clients ignore and which keeps proxies from closing a quiet stream.
func (s *EventStream) Heartbeat() error { return s.write(": heartbeat\n\n") }

func (s *EventStream) write(format string, args ...any) error {
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return err
	}
	if flusher, ok := s.w.(http.Flusher); ok {
		flusher.Flush()
	}
	return nil
}
