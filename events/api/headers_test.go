package api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/events/api"
)

// Every answer, errors included, forbids caches to store it, unless its handler allows it, and browsers to guess its type.
func TestAnswersArePrivate(t *testing.T) {
	t.Parallel()
	mux := api.NewMux()
	huma.Register(api.New(mux), huma.Operation{Method: http.MethodPost, Path: "/things/{id}", OperationID: "things", Errors: []int{422}},
		func(context.Context, *struct{ Body struct{ Name string } }) (*struct{ Body string }, error) {
			return &struct{ Body string }{"one"}, nil
		})
	mux.HandleFunc("GET /broken", func(http.ResponseWriter, *http.Request) { panic("a bug") })
	mux.HandleFunc("GET /empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /flushed", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() })
	mux.HandleFunc("GET /asset", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Cache-Control", "public, max-age=60") })
	api.Health(mux, api.Readiness{Vital: func() error { return nil }, Degraded: func() error { return nil }}, prometheus.NewRegistry(), nil)
	handler := api.Wrap(api.Routes(mux), mux, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	for request, want := range map[string]struct {
		status int
		cache  string
	}{
		"POST /things/1 {\"Name\":\"a\"}": {200, "no-store"}, "POST /things/1 {": {400, "no-store"}, "POST /things/1 {}": {422, "no-store"},
		"POST /things/1": {415, "no-store"}, "DELETE /things/1": {405, "no-store"}, "GET /nowhere": {404, "no-store"}, "GET /broken": {500, "no-store"},
		"GET /empty": {200, "no-store"}, "GET /flushed": {200, "no-store"}, "GET /asset": {200, "public, max-age=60"},
		"GET /readyz": {200, "no-store"}, "GET /healthz": {200, "no-store"}, "GET /metrics": {200, "no-store"},
	} {
		parts := strings.SplitN(request, " ", 3)
		r := httptest.NewRequest(parts[0], parts[1], nil)
		if len(parts) == 3 {
			r = httptest.NewRequest(parts[0], parts[1], strings.NewReader(parts[2]))
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		header := w.Result().Header
		if w.Code != want.status || header.Get("Cache-Control") != want.cache || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: got %d with %v, want %d, %s and nosniff", request, w.Code, header, want.status, want.cache)
		}
	}
}

func TestTLSIsRequiredBehindTLS(t *testing.T) {
	t.Parallel()
	answered := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	for publicURL, want := range map[string]string{"https://shop.example": "max-age=31536000", "http://shop.example": "", "": ""} {
		w := httptest.NewRecorder()
		api.RequireTLS(publicURL, answered).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		if got := w.Header().Get("Strict-Transport-Security"); got != want {
			t.Errorf("%q: got Strict-Transport-Security %q, want %q", publicURL, got, want)
		}
	}
}

// A page of another site can send these types, or none, without the permission of the shop.
//
// API8 of the OWASP API Top 10.
func TestBodyMustSayThatItIsJSON(t *testing.T) {
	t.Parallel()
	mux := api.NewMux()
	router := api.New(mux)
	body := func(context.Context, *struct{ Body struct{ Name string } }) (*struct{}, error) { return nil, nil }
	huma.Register(router, huma.Operation{Method: http.MethodPost, Path: "/things", OperationID: "things", Errors: []int{422}}, body)
	huma.Register(router, huma.Operation{Method: http.MethodPost, Path: "/raw", OperationID: "raw", SkipValidateBody: true, Errors: []int{422}},
		func(context.Context, *struct {
			RawBody []byte `contentType:"application/json"`
		}) (*struct{}, error) {
			return nil, nil
		})
	huma.Register(router, huma.Operation{Method: http.MethodPost, Path: "/ops", OperationID: "ops", Errors: []int{401},
		Middlewares: huma.Middlewares{api.RequireStaff(router, tokens{}, api.WriteStock)}}, body)
	for kind, want := range map[string]int{"application/json": 204, "application/json; charset=utf-8": 204, "": 415,
		"text/plain": 415, "text/plain+json": 415, "application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, ";": 415} {
		for path, status := range map[string]int{"/things": want, "/raw": want, "/ops": http.StatusUnauthorized} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"Name":"a"}`))
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != status {
				t.Errorf("POST %s as %q: got %d %s, want %d", path, kind, w.Code, w.Body, status)
			}
		}
	}
}

// shortError is an error with a code.
type shortError string

func (e shortError) Error() string     { return string(e) + ": open /data/nats" }
func (e shortError) ShortCode() string { return string(e) }

// The reasons of readiness are for staff, and for programs on the same machine that are not a proxy.
//
// API8 of the OWASP API Top 10.
func TestStrangersLearnNoReasons(t *testing.T) {
	t.Parallel()
	full := errors.Join(fmt.Errorf("store: %w", shortError("disk_full")), shortError("starting"))
	for name, c := range map[string]struct {
		remote string
		header http.Header
		told   bool
	}{
		"Stranger":          {"203.0.113.7:1", nil, false},
		"Staff":             {"203.0.113.7:1", http.Header{"Authorization": {"Bearer ops"}}, true},
		"WrongToken":        {"203.0.113.7:1", http.Header{"Authorization": {"Bearer oops"}}, false},
		"ThisMachine":       {"127.0.0.1:1", nil, true},
		"ThisMachineOnIPv6": {"[::1]:1", nil, true},
		"ProxyOnIt":         {"127.0.0.1:1", http.Header{"X-Forwarded-For": {"203.0.113.7"}}, false},
		"OtherProxyOnIt":    {"127.0.0.1:1", http.Header{"Forwarded": {"for=203.0.113.7"}}, false},
	} {
		for _, vital := range []error{nil, full} {
			mux := api.NewMux()
			api.Health(mux, api.Readiness{Vital: func() error { return vital }, Degraded: func() error { return errors.New("degraded: open /data/mongo") }},
				prometheus.NewRegistry(), tokens{})
			r := httptest.NewRequest(http.MethodGet, "/readyz", nil)
			r.RemoteAddr = c.remote
			for field, values := range c.header {
				r.Header[field] = values
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if strings.Contains(w.Body.String(), "/data") != c.told || vital != nil && !strings.Contains(w.Body.String(), `"codes":["disk_full","starting"]`) || !strings.Contains(w.Body.String(), `"status"`) || (w.Code == 503) != (vital != nil) {
				t.Errorf("%s: got %d %s, want the status, and the reason: %t", name, w.Code, w.Body, c.told)
			}
		}
	}
}
