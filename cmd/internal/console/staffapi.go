package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// callAPI sends a request of the signed-in member of staff to the staff API, with a body unless it is nil, and decodes the response
// into result. An error has the text of the API for people.
func (c *console) callAPI(r *http.Request, method, path string, body, result any) error {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	request, err := http.NewRequestWithContext(r.Context(), method, path, &content)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.sessionToken(r))
	request.Header.Set("Content-Type", "application/json")
	request.RemoteAddr, request.Host = r.RemoteAddr, r.Host
	answer := &answer{header: http.Header{}, status: http.StatusOK}
	c.API.ServeHTTP(answer, request)
	if answer.status/100 != 2 {
		return answer.problem()
	}
	if err := json.Unmarshal(answer.body.Bytes(), result); err != nil {
		return fmt.Errorf("%s %s: decode the response: %w", method, path, err)
	}
	return nil
}

// answer is a response that is kept in memory. It implements [http.ResponseWriter].
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (a *answer) Header() http.Header { return a.header }

// Write implements [http.ResponseWriter].
func (a *answer) Write(data []byte) (int, error) { return a.body.Write(data) }

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) { a.status = status }

// problem returns the error of a response: errNotFound, errInvalid with the API's text, or that text alone.
func (a *answer) problem() error {
	var problem struct {
		Detail string `json:"detail"`
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	if json.Unmarshal(a.body.Bytes(), &problem) != nil || problem.Detail == "" {
		problem.Detail = http.StatusText(a.status)
	}
	text := problem.Detail
	for _, e := range problem.Errors {
		text += fmt.Sprintf(" (%s: %s)", e.Location, e.Message)
	}
	switch {
	case a.status == http.StatusNotFound:
		return fmt.Errorf("%w: %s", errNotFound, text)
	case a.status < http.StatusInternalServerError:
		return fmt.Errorf("%w: %s", errInvalid, text)
	}
	return errors.New(text)
}
