package console

import (
	"net/http"

	"tillstream/events/api"
)

func (c *console) replayRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/replay", c.view(api.ReadAll, c.placeholder("Replay")))
}
