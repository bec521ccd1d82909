package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"tillstream/events/api"
)

// Limits of event streams.
const (
	partsEvery   = 2 * time.Second
	beatEvery    = 15 * time.Second
	writeTimeout = 30 * time.Second
	maxStreams   = 200
)

// stream writes Server-Sent Events to one browser.
type stream struct {
	w     http.ResponseWriter
	valid func() bool // the session has not ended
}

// live returns the handler of an event stream for staff who may read. The stream ends when the session does: the page reconnects and
// gets a refusal.
func (c *console) live(send func(r *http.Request, s *stream) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if p, ok := c.principal(r); !ok || !p.May(api.ReadAll) {
			http.Error(w, "Please sign in.", http.StatusUnauthorized)
			return
		}
		if c.streams.Add(1) > maxStreams {
			defer c.streams.Add(-1)
			http.Error(w, "Too many live pages are open.", http.StatusServiceUnavailable)
			return
		}
		defer c.streams.Add(-1)
		header := w.Header()
		header.Set("Content-Type", "text/event-stream")
		header.Set("Cache-Control", "no-store")
		header.Set("X-Accel-Buffering", "no") // nginx would buffer the events
		if r.Method == http.MethodHead {
			return // without a body the client would wait for the end of the stream before its next request on the connection
		}
		s := &stream{w: w, valid: func() bool { p, ok := c.principal(r); return ok && p.May(api.ReadAll) }}
		err := s.write(": begins\n\n")
		if err == nil {
			err = send(r, s)
		}
		if err != nil && r.Context().Err() == nil {
			c.Logger.DebugContext(r.Context(), "live page ended", "path", r.URL.Path, "error", err)
		}
	}
}

// write sends text. It fails when the browser has not taken it in time.
func (s *stream) write(text string) error {
	control := http.NewResponseController(s.w)
	_ = control.SetWriteDeadline(time.Now().Add(writeTimeout)) // a writer without a connection has no deadline
	if _, err := fmt.Fprint(s.w, text); err != nil {
		return err
	}
	return control.Flush()
}

// send sends one event with data as JSON, which has no line breaks.
func (s *stream) send(event string, id uint64, data any) error {
	if !s.valid() {
		return fmt.Errorf("send %s event: the session has ended", event)
	}
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("send %s event: %w", event, err)
	}
	return s.write(fmt.Sprintf("event: %s\nid: %d\ndata: %s\n\n", event, id, body))
}

// repeat calls fn at intervals until it fails or ctx ends.
func (s *stream) repeat(ctx context.Context, fn func() error) error {
	ticker := time.NewTicker(partsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			if err := fn(); err != nil {
				return err
			}
		}
	}
}

// sendParts sends the named parts of a page, which its template defines.
func (c *console) sendParts(s *stream, name string, parts []string, data any) error {
	rendered := map[string]string{}
	for _, part := range parts {
		html, err := c.part(name, part, data)
		if err != nil {
			return err
		}
		rendered[part] = html
	}
	return s.send("parts", 0, rendered)
}

// part returns one part of a page.
func (c *console) part(name, part string, data any) (string, error) {
	var html bytes.Buffer
	if err := c.templates.byName[name].ExecuteTemplate(&html, part, data); err != nil {
		return "", fmt.Errorf("render part %s of %s: %w", part, name, err)
	}
	return html.String(), nil
}
