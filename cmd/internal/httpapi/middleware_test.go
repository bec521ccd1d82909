package httpapi_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tillstream/cmd/internal/httpapi"
)

// Clients read every error the same way, also the one that nobody foresaw.
func TestPanicIsAProblemDocument(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /broken", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	handler := httpapi.Wrap(httpapi.Routes(mux), mux, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
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
