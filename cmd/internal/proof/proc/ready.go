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
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		answer, ready := askReady(ctx, url+"/readyz")
		if ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %s", name, ErrNotReady, answer)
		case <-ticker.C:
		}
	}
}

func askReady(ctx context.Context, url string) (answer string, ready bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error(), false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error(), false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err.Error(), false
	}
	return string(body), response.StatusCode == http.StatusOK && strings.Contains(string(body), `"ready"`)
}
