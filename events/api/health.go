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

// Health adds /healthz (200 while the process runs), /readyz (503 while it cannot serve) and /metrics. Reasons may name
// addresses, paths and queries, so /readyz gives them only to staff and to programs on the same machine. staff may be nil.
func Health(mux *Mux, ready Readiness, gatherer prometheus.Gatherer, staff StaffAccess) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeStatus(w, http.StatusOK, "ok", nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		told := mayKnowReasons(r, staff)
		if err := ready.Vital(); err != nil {
			writeStatus(w, http.StatusServiceUnavailable, "not ready", reasonFor(told, err))
			return
		}
		if err := ready.Degraded(); err != nil {
			writeStatus(w, http.StatusOK, "degraded", reasonFor(told, err))
			return
		}
		writeStatus(w, http.StatusOK, "ready", nil)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
}

// mayKnowReasons reports whether a request is from staff, or directly from this machine: a proxy on it forwards strangers.
func mayKnowReasons(r *http.Request, staff StaffAccess) bool {
	remote, _ := parseHop(r.RemoteAddr)
	local := remote.IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
	return local || staff != nil && staff.Staff(r.Header.Get("Authorization"))
}

func reasonFor(told bool, err error) error {
	if told {
		return err
	}
	return nil
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
