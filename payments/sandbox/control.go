package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
)

// controlRoutes are the routes under /sandbox, with which tests and people decide what happens in the sandbox. They are not part
// of Stripe's API.
func (s *Server) controlRoutes(mux *http.ServeMux) {
	routes := map[string]http.HandlerFunc{
		"POST /sandbox/clock":         s.moveClock,
		"POST /sandbox/disputes":      s.disputePayment,
		"POST /sandbox/disputes/{id}": s.forceDispute,
		"GET /sandbox/faults":         s.showFaults,
		"PUT /sandbox/faults":         s.putFaults,
		"DELETE /sandbox/faults":      s.endFaults,
	}
	// A browser sends the credentials of Basic authentication, and reaches this machine, with the requests of every site.
	sameSite := http.NewCrossOriginProtection()
	for pattern, handler := range routes {
		mux.Handle(pattern, sameSite.Handler(s.withSecretKey(handler)))
	}
	mux.Handle("GET /sandbox", s.people(s.showPage))
	mux.Handle("POST /sandbox", sameSite.Handler(s.people(s.actOnPage)))
}

// withSecretKey refuses requests without the secret key.
func (s *Server) withSecretKey(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !equal(presentedKey(r, nil), s.config.SecretKey) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Stripe sandbox", charset="UTF-8"`)
			s.refuseControl(w, http.StatusUnauthorized, errors.New("the secret key is required, as bearer token or as user name"))
			return
		}
		next(w, r)
	}
}

// readControl decodes a JSON body. Unknown members are errors, because a misspelt one would have no effect.
func readControl(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	if err == nil {
		err = jsonv2.Unmarshal(body, into, jsonv2.RejectUnknownMembers(true))
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", r.URL.Path, err)
	}
	return nil
}

func (s *Server) sendControl(w http.ResponseWriter, answer any) {
	s.writeControl(w, http.StatusOK, answer)
}

func (s *Server) refuseControl(w http.ResponseWriter, status int, err error) {
	s.writeControl(w, status, struct {
		Error string `json:"error"`
	}{err.Error()})
}

func (s *Server) writeControl(w http.ResponseWriter, status int, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.config.Logger.Debug("send sandbox control answer", "error", err)
	}
}

// Duration is a time.Duration whose JSON form is text such as "1m30s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}
