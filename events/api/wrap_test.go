package api_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events/api"
)

func TestPanicIsAnsweredWithAProblemDocument(t *testing.T) {
	t.Parallel()
	mux := api.NewMux()
	mux.HandleFunc("GET /broken", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	handler := api.Wrap(api.Routes(mux), mux, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/broken", nil))
	var problem struct {
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}
	err := json.Unmarshal(answer.Body.Bytes(), &problem)
	if kind := answer.Header().Get("Content-Type"); err != nil || answer.Code != 500 || problem.Status != 500 || kind != "application/problem+json" {
		t.Errorf("got %d, %s: %s (%v), want a problem document with status 500", answer.Code, kind, answer.Body, err)
	}
}

// Every status of every route has a counter at 0 before the first request, so that the first failure is an increase. A status
// that the programs do not answer with is counted by its class and adds no series.
func TestRequestsAreCountedByRouteAndStatusFromZero(t *testing.T) {
	t.Parallel()
	mux, registry := api.NewMux(), prometheus.NewRegistry()
	status := http.StatusServiceUnavailable
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	handler := api.Wrap(api.Routes(mux), mux, slog.New(slog.DiscardHandler), registry)
	counters := func() map[string]float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, f := range families {
			if f.GetName() != "tillstream_http_requests_total" {
				continue
			}
			for _, m := range f.GetMetric() {
				values[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
		return values
	}
	before := counters()
	for _, route := range []string{"GET /things/{id}", ""} {
		for _, label := range []string{"200", "404", "503", "5xx"} {
			if n, exists := before[route+" "+label]; !exists || n != 0 {
				t.Errorf("before the first request, counter %q of route %q is %v (exists: %t), want 0", label, route, n, exists)
			}
		}
	}
	for _, status = range []int{http.StatusServiceUnavailable, http.StatusTeapot, http.StatusInsufficientStorage} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/things/1", nil))
	}
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/nowhere", nil))
	after := counters()
	for _, want := range []string{"GET /things/{id} 503", "GET /things/{id} 4xx", "GET /things/{id} 5xx", " 404"} {
		if after[want] != 1 {
			t.Errorf("counter %q is %v, want 1", want, after[want])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d series, want %d as before", len(after), len(before))
	}
}
