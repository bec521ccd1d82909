package api

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Readiness reports whether a process can serve requests.
type Readiness struct {
	Vital    func() error // why the process cannot serve; a load balancer then sends it no requests
	Degraded func() error // why a part of a process that serves needs attention
}

// Health adds /healthz (200 while the process runs), /readyz (503 while it cannot serve) and /metrics.
func Health(mux *Mux, ready Readiness, gatherer prometheus.Gatherer) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeStatus(w, http.StatusOK, "ok", nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready.Vital(); err != nil {
			writeStatus(w, http.StatusServiceUnavailable, "not ready", err)
			return
		}
		if err := ready.Degraded(); err != nil {
			writeStatus(w, http.StatusOK, "degraded", err)
			return
		}
		writeStatus(w, http.StatusOK, "ready", nil)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
}

func writeStatus(w http.ResponseWriter, code int, status string, err error) {
	body := map[string]string{"status": status}
	if err != nil {
		body["reason"] = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // fails only when the client has left
}
