package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tillstream/cmd/internal/target"
)

// staffAPI is a client of the staff API.
type staffAPI struct {
	origin string
	key    string
	client *http.Client
}

// newStaffAPI returns a client for the shop that the flags name. It returns [target.ErrUnknownAddress] if the address or
// the API key of the staff API is not known.
func newStaffAPI(flags target.Target) (*staffAPI, error) {
	shop, err := flags.Resolve()
	if err != nil {
		return nil, err
	}
	if err := shop.Require(shop.Ops, "ops"); err != nil {
		return nil, err
	}
	if err := shop.Require(shop.OpsKey, "ops-key"); err != nil {
		return nil, err
	}
	return &staffAPI{origin: shop.Ops, key: shop.OpsKey, client: &http.Client{Timeout: time.Minute}}, nil
}

// staffAPIOfOrder returns a client for the shop that the flags name, and the id of an order in it.
func staffAPIOfOrder(ctx context.Context, flags target.Target, order string, out *terminal) (*staffAPI, string, error) {
	api, err := newStaffAPI(flags)
	if err != nil {
		return nil, "", err
	}
	_, id, stop, err := openOrder(ctx, flags, order, out)
	if err != nil {
		return nil, "", err
	}
	stop()
	return api, id, nil
}

// call sends a request, with a body unless it is nil, and decodes the response into result.
func (s *staffAPI) call(ctx context.Context, method, path string, body, result any) error {
	return s.callWithKey(ctx, "", method, path, body, result)
}

// callWithKey is call with an Idempotency-Key, unless it is "".
func (s *staffAPI) callWithKey(ctx context.Context, key, method, path string, body, result any) error {
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
	request.Header.Set("Authorization", "Bearer "+s.key)
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("%w; is the shop running?", err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s%s: %w", method, s.origin, path, problemOf(response))
	}
	if err := json.NewDecoder(response.Body).Decode(result); err != nil {
		return fmt.Errorf("%s %s: decode the response: %w", method, path, err)
	}
	return nil
}

// problemOf returns a problem+json response as an error, with a hint if the API key may be wrong.
func problemOf(response *http.Response) error {
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
	isProblem := json.Unmarshal(data, &problem) == nil && problem.Detail != ""
	if !isProblem {
		problem.Detail = strings.TrimSpace(string(data[:min(len(data), 300)]))
	}
	text := response.Status + ": " + problem.Detail
	for _, e := range problem.Errors {
		text += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	switch response.StatusCode {
	case http.StatusUnauthorized:
		text += " (is --ops-key a valid API key of this shop? ops keys list shows them)"
	case http.StatusForbidden:
		text += " (ops keys list shows what each key may do; an admin makes another with ops keys add)"
	case http.StatusNotFound:
		if !isProblem {
			text += " (is --ops the address of the staff API?)"
		}
	}
	return errors.New(oneLine(text))
}
