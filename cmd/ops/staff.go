package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tillstream/cmd/internal/target"
)

// staff calls the staff API.
type staff struct {
	origin string
	token  string
	client *http.Client
}

// newStaff returns attach.ErrUnknownAddress when the shop's staff API is not known.
func newStaff(shop target.Shop) (*staff, error) {
	if err := shop.Require(shop.Ops, "ops"); err != nil {
		return nil, err
	}
	if err := shop.Require(shop.OpsToken, "ops-token"); err != nil {
		return nil, err
	}
	return &staff{origin: shop.Ops, token: shop.OpsToken, client: &http.Client{Timeout: time.Minute}}, nil
}

// call sends a request, with a body unless it is nil, and reads the answer into to.
func (s *staff) call(ctx context.Context, method, path string, body, to any) error {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.origin+path, content)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("%w; is the shop running?", err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s%s: %w", method, s.origin, path, refusal(response))
	}
	if err := json.NewDecoder(response.Body).Decode(to); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// refusal reads a problem+json, and says what to do where that is known.
func refusal(response *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("%s: %w", response.Status, err)
	}
	var problem struct {
		Detail string `json:"detail"`
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	if json.Unmarshal(data, &problem) != nil || problem.Detail == "" {
		problem.Detail = strings.TrimSpace(string(data[:min(len(data), 300)]))
	}
	text := response.Status + ": " + problem.Detail
	for _, e := range problem.Errors {
		text += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		text += " (is --ops-token the one that this shop printed at its start?)"
	}
	return fmt.Errorf("%s", oneLine(text))
}
