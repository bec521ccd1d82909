package console

import (
	"fmt"
	"net/http"
)

// letterLive registers the event streams of redrives and replays.
func (c *console) letterLive(mux *http.ServeMux) {
	mux.HandleFunc("GET /ops/live/redrives/{id}", c.live(c.liveRedrive))
	mux.HandleFunc("GET /ops/live/replays/{id}", c.live(c.liveReplay))
}

// follow sends the part "progress" of a page whenever it has changed, until the work has ended. The stream then stays open, because
// a browser would connect again.
func (c *console) follow(r *http.Request, s *stream, name string, read func() (data any, done bool, err error)) error {
	last, ended := "", false
	step := func() error {
		if ended {
			return s.write(": ended\n\n") // keeps proxies from closing a quiet connection
		}
		data, done, err := read()
		if err != nil {
			return fmt.Errorf("read the progress: %w", err)
		}
		html, err := c.part(name, "progress-of-work", page{Now: c.Now(), Data: data})
		if err != nil || html == last {
			return err
		}
		last, ended = html, done
		return s.send("parts", 0, map[string]string{"progress": html})
	}
	if err := step(); err != nil {
		return err
	}
	return s.repeat(r.Context(), step)
}
