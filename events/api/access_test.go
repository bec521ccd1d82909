package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/api"
)

// tokens accepts "o1-token" for the order o1 and "ops" for staff.
type tokens struct{}

func (tokens) Allows(orderID, authorization string) bool {
	return api.Bearer(authorization) == orderID+"-token"
}
func (tokens) Staff(authorization string) (api.Principal, bool) {
	token := api.Bearer(authorization)
	role, ok := map[string]api.Role{"ops": api.Operator, "view": api.Viewer, "key": api.Operator}[token]
	p := api.Principal{Actor: events.ActorStaff + "mira", Permissions: role.Permissions()}
	if token == "key" {
		p.Actor = events.ActorKey + "till"
	}
	return p, ok
}

// guarded serves a route for the holder of an order's token and one for staff, which answer with their principal.
func guarded() http.Handler {
	mux := api.NewMux()
	router := api.New(mux)
	type output struct{ Body struct{ Principal string } }
	echo := func(ctx context.Context, _ *struct {
		ID string `path:"id"`
	}) (*output, error) {
		out := &output{}
		p := api.PrincipalOf(ctx)
		out.Body.Principal = strings.TrimSpace(p.Actor + " " + p.Via)
		return out, nil
	}
	huma.Register(router, huma.Operation{Method: http.MethodGet, Path: "/orders/{id}", OperationID: "order", Security: api.OrderSecurity,
		Middlewares: huma.Middlewares{api.RequireOrderToken(router, tokens{}, "no such order")}}, echo)
	huma.Register(router, huma.Operation{Method: http.MethodGet, Path: "/ops/{id}", OperationID: "ops", Security: api.StaffSecurity,
		Middlewares: huma.Middlewares{api.RequireStaff(router, tokens{}, api.WriteStock)}}, echo)
	huma.Register(router, huma.Operation{Method: http.MethodGet, Path: "/stream/{id}", OperationID: "stream", Responses: api.EventStreamResponse()},
		func(context.Context, *struct {
			ID string `path:"id"`
		}) (*huma.StreamResponse, error) {
			return &huma.StreamResponse{Body: func(ctx huma.Context) {
				if stream, ok := api.OpenEventStream(ctx); ok && stream.Heartbeat() == nil {
					_ = stream.Send("status", 7, map[string]int{"n": 1})
				}
			}}, nil
		})
	return api.Routes(mux)
}

func request(t *testing.T, method, path, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Header.Set("Authorization", token)
	w := httptest.NewRecorder()
	guarded().ServeHTTP(w, r)
	return w
}

func TestRoutesRequireTheTokenOfTheOrderOrOfStaff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, token string
		status      int
		body        string
	}{
		{"/orders/o1", "Bearer o1-token", http.StatusOK, events.ActorGuest},
		{"/orders/o2", "Bearer o1-token", http.StatusNotFound, "no such order"},
		{"/orders/o1", "Bearer ops", http.StatusNotFound, "no such order"},
		{"/orders/o1", "", http.StatusNotFound, "no such order"},
		{"/orders/%2A", "Bearer *-token", http.StatusNotFound, "no such order"},
		{"/ops/x", "bearer  ops", http.StatusOK, "staff:mira"},
		{"/ops/x", "Basic ops", http.StatusUnauthorized, "staff"},
		{"/ops/x", "Bearer o1-token", http.StatusUnauthorized, "staff"},
		{"/nowhere", "Bearer ops", http.StatusNotFound, "no such route"},
	} {
		w := request(t, http.MethodGet, c.path, c.token)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s with %q: got %d %s, want %d %s", c.path, c.token, w.Code, w.Body, c.status, c.body)
		}
		if problem := w.Header().Get("Content-Type") == "application/problem+json"; problem != (c.status != http.StatusOK) {
			t.Errorf("%s with %q: got Content-Type %q, want a problem document: %t", c.path, c.token, w.Header().Get("Content-Type"), c.status != http.StatusOK)
		}
		if challenge := w.Header().Get("WWW-Authenticate") == "Bearer"; challenge != (c.status == http.StatusUnauthorized) {
			t.Errorf("%s with %q: got WWW-Authenticate %q, want Bearer: %t", c.path, c.token, w.Header().Get("WWW-Authenticate"), c.status == http.StatusUnauthorized)
		}
	}
}

// The audit says from where staff acted: the console for the session of a person, and the API for an API key, whatever the request
// says about itself.
func TestTheCredentialDecidesFromWhereStaffActed(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]string{"ops": "staff:mira console 192.0.2.1", "key": "key:till api 192.0.2.1"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ops/x", nil)
		for name, value := range map[string]string{"Authorization": "Bearer " + token, events.HeaderVia: "console 198.51.100.9", "Via": "console 198.51.100.9",
			events.HeaderActor: "staff:olu", "X-Forwarded-For": "198.51.100.9", "User-Agent": "console"} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		guarded().ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"`+want+`"`) {
			t.Errorf("%s: got %s, want %s", token, w.Body, want)
		}
	}
}

func TestEventStreamWritesServerSentEvents(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{http.MethodGet: ": heartbeat\n\nevent: status\nid: 7\ndata: {\"n\":1}\n\n", http.MethodHead: ""} {
		w := request(t, method, "/stream/x", "")
		if got := w.Body.String(); got != want || w.Header().Get("Content-Type") != "text/event-stream" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %q %v, want %q", method, got, w.Header(), want)
		}
		if w.Flushed != (want != "") {
			t.Errorf("%s: flushed is %t, want %t", method, w.Flushed, want != "")
		}
	}
}
