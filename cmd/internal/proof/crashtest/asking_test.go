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

// wish is a request, and answer what came of it.
type wish struct {
	method, url string
	bearer      string
	key         string // Idempotency-Key
	kind        string // of the body
	body        []byte
}

type answer struct {
	status   int
	replayed bool // the shop says that it has answered this before
	body     []byte
}

func (a answer) into(status int, v any) error {
	if a.status != status {
		return fmt.Errorf("answered %d, want %d: %.300s", a.status, status, a.body)
	}
	return json.Unmarshal(a.body, v)
}

// ask repeats a request until somebody answers who is not busy. A 500 is an answer: nothing that is done to the shop
// here is an excuse for it.
func (s *shopper) ask(ctx context.Context, w wish) (answer, error) {
	for {
		a, err := s.once(ctx, w)
		busy := slices.Contains([]int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, a.status)
		if err == nil && !busy {
			return a, nil
		}
		if pause(ctx) != nil {
			return a, fmt.Errorf("%s %s: last %d %.300s, %w", w.method, w.url, a.status, a.body, err)
		}
	}
}

// once sends a request and waits a while.
func (s *shopper) once(ctx context.Context, w wish) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, w.method, w.url, bytes.NewReader(w.body))
	if err != nil {
		return answer{}, err
	}
	for name, value := range map[string]string{"Authorization": w.bearer, "Idempotency-Key": w.key, "Content-Type": w.kind} {
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

func pause(ctx context.Context) error {
	timer := time.NewTimer(askAgain)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
