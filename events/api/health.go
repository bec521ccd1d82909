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
// addresses, paths and queries, so /readyz gives them only to staff and to programs on the same machine, and to others only their codes. staff may be nil.
func Health(mux *Mux, ready Readiness, gatherer prometheus.Gatherer, staff StaffAccess) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeStatus(w, http.StatusOK, "ok", nil, false) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		told := mayKnowReasons(r, staff)
		if err := ready.Vital(); err != nil {
			writeStatus(w, http.StatusServiceUnavailable, "not ready", err, told)
			return
		}
		if err := ready.Degraded(); err != nil {
			writeStatus(w, http.StatusOK, "degraded", err, told)
			return
		}
		writeStatus(w, http.StatusOK, "ready", nil, told)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
}

// mayKnowReasons reports whether a request is from staff, or directly from this machine: a proxy on it forwards strangers.
func mayKnowReasons(r *http.Request, staff StaffAccess) bool {
	remote, _ := parseHop(r.RemoteAddr)
	local := remote.IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == ""
	return local || staff != nil && mayReadMetrics(staff, r.Header.Get("Authorization"))
}

func mayReadMetrics(staff StaffAccess, authorization string) bool {
	principal, ok := staff.Staff(authorization)
	return ok && principal.May(ReadMetrics)
}

// coded is an error that has a short code without addresses, paths or queries, such as disk_full.
type coded interface{ ShortCode() string }

// codesOf returns the codes of an error and of the errors that it joins or wraps.
func codesOf(err error) (codes []string) {
	switch e := err.(type) { //nolint:errorlint // the tree of errors is walked here
	case coded:
		return []string{e.ShortCode()}
	case interface{ Unwrap() []error }:
		for _, joined := range e.Unwrap() {
			codes = append(codes, codesOf(joined)...)
		}
	case interface{ Unwrap() error }:
		return codesOf(e.Unwrap())
	}
	return codes
}

// writeStatus writes a status, the codes of its reason and, if the client may know it, the reason.
func writeStatus(w http.ResponseWriter, status int, name string, reason error, told bool) {
	body := struct {
		Status string   `json:"status"`
		Codes  []string `json:"codes,omitempty"`
		Reason string   `json:"reason,omitempty"`
	}{Status: name, Codes: codesOf(reason)}
	if told && reason != nil {
		body.Reason = reason.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only when the client has left
}
