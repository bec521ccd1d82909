package console

import (
	"net/http"

	"tillstream/events/api"
)

func (c *console) letterRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/replay", c.view(api.ReadAll, c.placeholder("Replay")))
	mux.Handle("GET /ops/deadletters", c.view(api.ReadAll, c.placeholder("Dead letters")))
	mux.Handle("GET /ops/audit", c.view(api.ReadAll, c.placeholder("Audit")))
}
