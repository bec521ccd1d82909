package api

import (
	"encoding/json"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Readiness tells whether a process can do its work, and what is degraded though it can.
type Readiness struct {
	Vital    func() error // non-nil: do not send anybody here
	Degraded func() error // non-nil: selling goes on, but somebody should look
}

// Health adds /healthz (the process lives), /readyz (it can do its work) and /metrics.
func Health(mux *Mux, ready Readiness, gatherer prometheus.Gatherer) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok", nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready.Vital(); err != nil {
			answer(w, http.StatusServiceUnavailable, "not ready", err)
			return
		}
		if err := ready.Degraded(); err != nil {
			answer(w, http.StatusOK, "degraded", err)
			return
		}
		answer(w, http.StatusOK, "ready", nil)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
}

func answer(w http.ResponseWriter, code int, status string, err error) {
	body := map[string]string{"status": status}
	if err != nil {
		body["reason"] = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody to tell
}
