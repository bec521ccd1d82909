package console

import (
	"net/http"

	"tillstream/events/api"
)

func (c *console) goodsRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/payments", c.view(api.ReadAll, c.placeholder("Payments")))
	mux.Handle("GET /ops/items", c.view(api.ReadAll, c.placeholder("Items")))
	mux.Handle("GET /ops/stock", c.view(api.ReadAll, c.placeholder("Stock")))
	mux.Handle("GET /ops/staff", c.view(api.ReadAll, c.placeholder("Staff")))
}
