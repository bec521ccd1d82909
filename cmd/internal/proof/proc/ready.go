package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// ErrNotReady is returned when a process is not ready in time.
var ErrNotReady = errors.New("not ready in time")

// AwaitReady waits until the process at a URL answers /readyz with "ready". When ctx ends it returns [ErrNotReady] with the
// last answer.
func AwaitReady(ctx context.Context, name, url string) error {
	return awaitAnswer(ctx, name, url, func(status int, answer string) bool {
		return status == http.StatusOK && strings.Contains(answer, `"ready"`)
	})
}

// AwaitServing is like [AwaitReady], but a process may be degraded, as for a proxy or an orchestrator.
func AwaitServing(ctx context.Context, name, url string) error {
	return awaitAnswer(ctx, name, url, func(status int, _ string) bool { return status == http.StatusOK })
}

func awaitAnswer(ctx context.Context, name, url string, good func(status int, answer string) bool) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		status, answer := Get(ctx, url+"/readyz")
		if good(status, answer) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %s", name, ErrNotReady, answer)
		case <-ticker.C:
		}
	}
}

// Get reads a page of a process: /readyz or /metrics. The status is 0 when there is no answer within two seconds, and the answer is
// then the reason.
func Get(ctx context.Context, url string) (status int, answer string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}
