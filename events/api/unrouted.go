package api

import (
	"encoding/json"
	"net/http"
)

// Routes serves a mux of API routes. Where the mux itself would refuse in plain text, because there is no such route or
// none for the method, clients get a problem document as for every other error.
func Routes(mux *Mux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = &unrouted{ResponseWriter: w}
		}
		mux.ServeHTTP(w, r)
	})
}

// unrouted replaces the text of a refusal. Redirects pass.
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
	refuse(u.ResponseWriter, status, "there is no such route, or none for this method")
}

func (u *unrouted) Write(p []byte) (int, error) {
	if u.replaced {
		return len(p), nil
	}
	return u.ResponseWriter.Write(p)
}

// refuse answers with a problem document (RFC 9457) where no API is there to write one.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client is gone: nobody to tell
		"title": http.StatusText(status), "status": status, "detail": detail})
}
