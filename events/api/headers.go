package api

import (
	"net/http"
	"net/url"
)

// secure completes the headers of an answer. Unless its handler says otherwise, no cache stores it: it may have an order, a
// payment or the reason of a refusal. No browser takes it for anything else than its Content-Type says.
func secure(header http.Header) {
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	header.Set("X-Content-Type-Options", "nosniff")
}

// hstsYear has browsers use https for a year, as hstspreload.org asks for.
const hstsYear = "max-age=31536000"

// RequireTLS tells browsers to use only https (RFC 6797), if publicURL is an https address: then a proxy in front of this
// process terminates TLS. Otherwise it returns next.
func RequireTLS(publicURL string, next http.Handler) http.Handler {
	if u, err := url.Parse(publicURL); err != nil || u.Scheme != "https" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", hstsYear)
		next.ServeHTTP(w, r)
	})
}
