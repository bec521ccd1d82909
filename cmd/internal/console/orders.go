package console

import (
	"net/http"

	"tillstream/events/api"
)

func (c *console) orderRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/orders", c.view(api.ReadAll, c.placeholder("Orders")))
	mux.Handle("GET /ops/messages", c.view(api.ReadAll, c.placeholder("Messages")))
	mux.Handle("GET /ops/search", c.view(api.ReadAll, c.placeholder("Search")))
}
