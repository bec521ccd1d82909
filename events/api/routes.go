package api

import "net/http"

// Mux is an http.ServeMux that lists its routes, so that [Wrap] can create their counters before the first request.
type Mux struct {
	*http.ServeMux
	routes []string
}

// NewMux returns a mux without routes.
func NewMux() *Mux { return &Mux{ServeMux: http.NewServeMux()} }

// Handle registers the handler of a route.
func (m *Mux) Handle(pattern string, handler http.Handler) {
	m.routes = append(m.routes, pattern)
	m.ServeMux.Handle(pattern, handler)
}

// HandleFunc registers the function that handles a route.
func (m *Mux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, http.HandlerFunc(handler))
}

// Routes serves a mux of API routes. A request without a route, or with a method that its route does not have, gets a
// problem document like every other error, in place of the plain text of the mux.
func Routes(mux *Mux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = &unrouted{ResponseWriter: w}
		}
		mux.ServeHTTP(w, r)
	})
}

// unrouted replaces the plain text of a 4xx by a problem document. Redirects pass unchanged.
type unrouted struct {
	http.ResponseWriter
	replaced bool
}

func (u *unrouted) WriteHeader(status int) {
	if status < http.StatusBadRequest {
		u.ResponseWriter.WriteHeader(status)
		return
	}
	u.replaced = true
	WriteProblem(u.ResponseWriter, status, "There is no such route, or it does not have this method.")
}

func (u *unrouted) Write(p []byte) (int, error) {
	if u.replaced {
		return len(p), nil
	}
	return u.ResponseWriter.Write(p)
}
