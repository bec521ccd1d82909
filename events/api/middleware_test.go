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

// Clients read every error the same way, also the one that nobody foresaw.
func TestPanicIsAProblemDocument(t *testing.T) {
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
		t.Errorf("HTTP %d, %s: %s (%v)", answer.Code, kind, answer.Body, err)
	}
}

// Every answer of every route is counted from the start, so that the first failure is an increase. A status that the programs do
// not give is counted by its class: what a client or a proxy makes up adds no series.
func TestAnswersAreCountedFromTheStart(t *testing.T) {
	t.Parallel()
	mux, registry := api.NewMux(), prometheus.NewRegistry()
	status := http.StatusServiceUnavailable
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	handler := api.Wrap(api.Routes(mux), mux, slog.New(slog.DiscardHandler), registry)
	counted := func() map[string]float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "tillstream_http_requests_total" {
					values[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
		return values
	}
	before := counted()
	for _, route := range []string{"GET /things/{id}", ""} {
		for _, label := range []string{"200", "404", "503", "5xx"} {
			if n, there := before[route+" "+label]; !there || n != 0 {
				t.Errorf("before the first request %q of %q is %v (there: %t)", label, route, n, there)
			}
		}
	}
	for _, status = range []int{http.StatusServiceUnavailable, http.StatusTeapot, http.StatusInsufficientStorage} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/things/1", nil))
	}
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/nowhere", nil))
	after := counted()
	for _, want := range []string{"GET /things/{id} 503", "GET /things/{id} 4xx", "GET /things/{id} 5xx", " 404"} {
		if after[want] != 1 {
			t.Errorf("%q is %v, want 1", want, after[want])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d series, want %d as before", len(after), len(before))
	}
}
