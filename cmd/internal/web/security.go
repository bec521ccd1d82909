package web

import "net/http"

// SecurityHeaders sets a Content-Security-Policy and a Cross-Origin-Opener-Policy on every response, and headers that forbid
// frames, guesses of the content type, and the page's address in requests to other sites.
func SecurityHeaders(policy, opener string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Cross-Origin-Opener-Policy", opener)
		next.ServeHTTP(w, r)
	})
}
