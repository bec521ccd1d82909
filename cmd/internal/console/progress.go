package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"tillstream/events/api"
)

// progressEvery is how often a page of long work is brought up to date.
const progressEvery = time.Second

// progress sends the parts of a page as Server-Sent Events whenever they have changed, until the work has ended or the browser
// leaves.
func (c *console) progress(parts func(*http.Request) (parts map[string]string, done bool, err error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := c.principal(r)
		if !ok || !p.May(api.ReadAll) {
			http.Error(w, "sign in to follow the progress", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Accel-Buffering", "no") // nginx would buffer the events
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for last := ""; ; {
			now, done, err := parts(r)
			if err != nil {
				c.Logger.WarnContext(r.Context(), "progress not sent", "path", r.URL.Path, "error", err)
				return
			}
			if last, err = c.sendParts(w, now, last); err != nil {
				return // the browser has left
			}
			if done {
				<-r.Context().Done() // a browser would connect again
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-ticker.C:
			}
		}
	})
}

// sendParts sends parts that differ from the last ones, or a comment that keeps proxies from closing a quiet connection.
func (c *console) sendParts(w http.ResponseWriter, parts map[string]string, last string) (string, error) {
	data, err := json.Marshal(parts)
	if err != nil {
		return last, err
	}
	text := ": nothing new\n\n"
	if string(data) != last {
		text = fmt.Sprintf("event: parts\ndata: %s\n\n", data)
	}
	if _, err := fmt.Fprint(w, text); err != nil {
		return last, err
	}
	return string(data), http.NewResponseController(w).Flush()
}

// letterLive registers the event streams of redrives and replays.
func (c *console) letterLive(mux *http.ServeMux) {
	mux.Handle("GET /ops/live/redrives/{id}", c.progress(c.redriveParts))
}
