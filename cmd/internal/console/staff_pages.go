package console

import "net/http"

func (c *console) staffRoutes(mux *http.ServeMux) {}
