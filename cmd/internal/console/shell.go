package console

import (
	"net/http"

	"tillstream/events/api"
)

// shellRoutes registers the pages that every member of staff begins with, and what all pages need.
func (c *console) shellRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /ops/assets/{hash}/{name}", c.assets.Serve)
	mux.HandleFunc("GET /favicon.svg", c.assets.ServeFavicon)
	mux.Handle("GET /{$}", http.RedirectHandler("/ops", http.StatusFound))
	mux.Handle("GET /ops/{$}", http.RedirectHandler("/ops", http.StatusMovedPermanently))
	c.signInRoutes(mux)
	mux.Handle("GET /ops", c.view(api.ReadAll, c.showOverview))
	mux.Handle("GET /ops/events", c.view(api.ReadAll, c.showEvents))
	mux.Handle("GET /ops/events/{sequence}", c.view(api.ReadAll, c.showEvent))
	mux.Handle("GET /ops/events/{sequence}/void", c.view(api.RepairData, c.showVoid))
	mux.Handle("POST /ops/events/{sequence}/void", c.act(api.RepairData, c.declareVoid))
	mux.Handle("GET /ops/past", c.view(api.ReadAll, c.showPast))
	mux.Handle("GET /ops/system", c.view(api.ReadAll, c.showSystem))
	mux.Handle("POST /ops/lanes/{lane}/pause", c.act(api.WriteLanes, c.pauseLane))
	mux.Handle("POST /ops/lanes/{lane}/resume", c.act(api.WriteLanes, c.resumeLane))
	mux.Handle("GET /ops/audit", c.view(api.ReadAll, c.showAudit))
	mux.HandleFunc("/", c.showNotFound)
}

// liveRoutes registers the event streams.
func (c *console) liveRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ops/live/overview", c.live(c.liveOverview))
	mux.HandleFunc("GET /ops/live/system", c.live(c.liveSystem))
	mux.HandleFunc("GET /ops/live/events", c.live(c.liveEvents))
	c.letterLive(mux)
	c.maintenanceLive(mux)
	return mux
}

// navGroup is a part of the navigation. The first has no name.
type navGroup struct {
	Name  string
	Links []anchor
}

// navigation is the same on every page.
var navigation = []navGroup{
	{"", []anchor{{"Overview", "/ops"}}},
	{"Shop", []anchor{{"Orders", "/ops/orders"}, {"Payments", "/ops/payments"}, {"Items", "/ops/items"}, {"Stock", "/ops/stock"}, {"Messages", "/ops/messages"}}},
	{"Log", []anchor{{"Events", "/ops/events"}, {"Replay", "/ops/replay"}, {"Dead letters", "/ops/deadletters"}}},
	{"Installation", []anchor{{"System", "/ops/system"}, {"Staff", "/ops/staff"}, {"Audit", "/ops/audit"}}},
}
