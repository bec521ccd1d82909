package console

import "net/http"

// goodsRoutes registers the pages of stock, items, payments, and of staff and their API keys.
func (c *console) goodsRoutes(mux *http.ServeMux) {
	c.stockRoutes(mux)
	c.itemRoutes(mux)
	c.paymentRoutes(mux)
	c.staffRoutes(mux)
}
