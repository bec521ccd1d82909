package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"tillstream/events"
	"tillstream/events/replay"
)

// apiError is an answer of the staff API other than success.
type apiError struct {
	Status int
	Text   string // for the person who sent the form
}

// Error implements error.
func (e *apiError) Error() string { return e.Text }

// Is says which page shows the answer: 404 is something that does not exist, another 4xx is a request that cannot be carried out,
// such as a list with a filter that somebody has typed into the address.
func (e *apiError) Is(target error) bool {
	switch target {
	case errNotFound:
		return e.Status == http.StatusNotFound
	case errForbidden:
		return e.Status == http.StatusForbidden
	case errInvalid:
		return e.Status/100 == 4 && e.Status != http.StatusForbidden
	}
	return false
}

// callAPI sends a request to the staff API on behalf of the sender of a page or an action, with a body unless it is nil, and decodes
// the answer into result. It returns an [*apiError] when the API refuses.
func (c *console) callAPI(r *http.Request, method, path string, body, result any) error {
	var content io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(r.Context(), method, path, content)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Host, request.RemoteAddr, request.RequestURI = r.Host, r.RemoteAddr, path
	request.Header.Set("Authorization", "Bearer "+c.sessionToken(r))
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer := &apiAnswer{header: http.Header{}, status: http.StatusOK}
	c.API.ServeHTTP(answer, request)
	if answer.status/100 != 2 {
		return answer.problem()
	}
	if err := json.Unmarshal(answer.body.Bytes(), result); err != nil {
		return fmt.Errorf("%s %s: decode the answer: %w", method, path, err)
	}
	return nil
}

// apiAnswer keeps an answer of the staff API.
type apiAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *apiAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *apiAnswer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *apiAnswer) Write(data []byte) (int, error) { return a.body.Write(data) }

// problem returns a refusal with the fields that cannot be accepted.
func (a *apiAnswer) problem() error {
	var document struct {
		Detail string `json:"detail"`
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	if json.Unmarshal(a.body.Bytes(), &document) != nil || document.Detail == "" {
		document.Detail = http.StatusText(a.status)
	}
	parts := []string{document.Detail}
	for _, e := range document.Errors {
		parts = append(parts, strings.TrimPrefix(e.Location, "body.")+": "+e.Message)
	}
	return &apiError{Status: a.status, Text: strings.Join(parts, " · ")}
}

// recentEvents is how many events of an entity newestOf looks at: others may follow an action at once.
const recentEvents = 20

// newestOf returns the sequence of the newest event of an entity that the sender of a request has caused, 0 without one: what an
// action has just become. The action is done by then, so an error is only logged.
func (c *console) newestOf(r *http.Request, prefix, id string) uint64 {
	subject, err := subjectOf(prefix, id)
	var history replay.EntityPage
	if err == nil {
		history, err = c.Log.EntityPage(r.Context(), subject, 0, recentEvents)
	}
	if err != nil {
		c.Logger.WarnContext(r.Context(), "event of an action not found", "entity", prefix+id, "error", err)
	}
	for _, m := range history.Messages {
		if m.Header.Get(events.HeaderActor) == principalOf(r).Actor {
			return m.Sequence
		}
	}
	return 0
}

// withQuery returns an address with the query fields that have a value.
func withQuery(path string, fields map[string]string) string {
	query := url.Values{}
	for name, value := range fields {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}
