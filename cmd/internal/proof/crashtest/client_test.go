//go:build unix

package crashtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// call is an HTTP request.
type call struct {
	method, url string
	bearer      string
	key         string // Idempotency-Key
	contentType string
	body        []byte
}

// answer is the response to a call.
type answer struct {
	status   int
	replayed bool // Idempotent-Replayed: the answer to an earlier request with the same key
	body     []byte
}

func (a answer) into(status int, v any) error {
	if a.status != status {
		return fmt.Errorf("got status %d, want %d: %.300s", a.status, status, a.body)
	}
	return json.Unmarshal(a.body, v)
}

// send repeats a request until it is answered by a process that is not busy. A 500 is an answer: no crash may cause one.
func (s *shopper) send(ctx context.Context, r call) (answer, error) {
	for {
		a, err := s.sendOnce(ctx, r)
		busy := slices.Contains([]int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, a.status)
		if err == nil && !busy {
			return a, nil
		}
		if pause(ctx) != nil {
			return a, fmt.Errorf("%s %s: last status %d %.300s: %w", r.method, r.url, a.status, a.body, err)
		}
	}
}

// sendOnce makes one attempt.
func (s *shopper) sendOnce(ctx context.Context, r call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range map[string]string{"Authorization": r.bearer, "Idempotency-Key": r.key, "Content-Type": r.contentType} {
		if name == "Authorization" && value != "" {
			value = "Bearer " + value
		}
		if value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, replayed: strings.EqualFold(response.Header.Get("Idempotent-Replayed"), "true"), body: body}, err
}

// pause waits until the next attempt.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(retryEvery):
		return nil
	}
}
