package loadgen

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

// StatusError is an answer with a status other than 2xx.
type StatusError struct {
	Status     int
	Code       string        // Stripe's error code, if any
	Message    string        // from the body of the answer, shortened
	RetryAfter time.Duration // from the Retry-After header; 0 if absent
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Message) }

// Maximum size of an answer in bytes. An order of 800 lines has about 150 KiB.
const (
	maxAnswer  = 4 << 20
	maxProblem = 16 << 10
)

// client sends requests over persistent connections.
type client struct {
	http *http.Client

	retry       retryPolicy // for requests to the shop
	retryLong   retryPolicy // for following an order, until the time of the purchase is over
	retryStripe retryPolicy // for requests to Stripe, whose faults are not the shop's: patient shoppers retry after a 500
}

// newClient keeps four idle connections per shopper: for the order's events, its payment, and two that have just finished.
func newClient(concurrency int, patient bool) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the shop under test is never behind a proxy
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = 4 * concurrency
	transport.DisableCompression = true
	retries := new(atomic.Int64)
	c := &client{http: &http.Client{Transport: transport}, retryLong: retryPolicy{retries: retries},
		retry: retryPolicy{attempts: impatientAttempts, retries: retries}}
	if patient {
		c.retry = c.retryLong
	}
	c.retryStripe = c.retry
	c.retryStripe.faults = patient
	return c
}

// request is one HTTP request.
type request struct {
	method, url string
	bearer      string
	key         string // Idempotency-Key
	contentType string
	body        []byte
}

// call sends a request, repeats it according to the policy, and decodes the answer. It returns a [StatusError],
// [ErrBadAnswer], the error of ctx, or an error of the network.
func (c *client) call(ctx context.Context, p retryPolicy, r request, into any) error {
	return p.do(ctx, func() error {
		response, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			return fmt.Errorf("%w: %s %s: %w", ErrBadAnswer, r.method, r.url, err)
		}
		return nil
	})
}

// send makes one attempt. The caller closes the body of the response.
func (c *client) send(ctx context.Context, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	setHeader(req.Header, "Authorization", r.bearer)
	setHeader(req.Header, "Idempotency-Key", r.key)
	setHeader(req.Header, "Content-Type", r.contentType)
	response, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		defer response.Body.Close()
		return nil, refusal(response)
	}
	return response, nil
}

func setHeader(header http.Header, name, value string) {
	switch {
	case value == "":
	case name == "Authorization":
		header[name] = []string{"Bearer " + value}
	default:
		header[name] = []string{value}
	}
}

// refusal makes a [StatusError] of a problem document or Stripe's error envelope.
func refusal(response *http.Response) error {
	e := &StatusError{Status: response.StatusCode}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	if err != nil {
		e.Message = fmt.Sprintf("(read body: %v)", err)
		return e
	}
	e.Code, e.Message = explanation(data)
	return e
}

// explanation returns the code and the message in the body of a refusal, or the body itself.
func explanation(data []byte) (code, message string) {
	var body struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(data, &body); err != nil || body.Title+body.Detail+body.Error.Message == "" {
		return "", fmt.Sprintf("%.200q", data)
	}
	if body.Error.Message != "" {
		return body.Error.Code, body.Error.Message
	}
	message = body.Detail
	if message == "" {
		message = body.Title
	}
	for _, e := range body.Errors {
		message += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	return "", message
}
