package sandbox

import (
	"net/http"
	"net/http/httptest"
)

// Routes returns the patterns of the routes of Stripe's API.
func Routes() (patterns []string) {
	for _, r := range apiRoutes {
		patterns = append(patterns, r.pattern)
	}
	return patterns
}

// RouteOf returns the pattern that a request matches.
func RouteOf(method, path string) string {
	mux := http.NewServeMux()
	for _, pattern := range Routes() {
		mux.Handle(pattern, http.NotFoundHandler())
	}
	_, pattern := mux.Handler(httptest.NewRequest(method, path, nil))
	return pattern
}
