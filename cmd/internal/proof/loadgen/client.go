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

// StatusError is an answer that says no.
type StatusError struct {
	Status     int
	Code       string        // Stripe's, if any
	Message    string        // what the answer said, shortened
	RetryAfter time.Duration // when to come again, if the answer said so
}

func (e *StatusError) Error() string { return fmt.Sprintf("answered %d: %s", e.Status, e.Message) }

// Bounds of what is read of an answer. An order of 800 lines has some 150 KiB.
const (
	maxAnswer  = 4 << 20
	maxProblem = 16 << 10
)

// client sends requests over connections that stay open.
type client struct {
	http *http.Client
	few  patience // for what a shopper tries a few times
	long patience // for what is waited for until the purchase's time is up
	bank patience // for Stripe: its faults are not the shop's, so a patient shopper repeats those too
}

// newClient keeps four connections per shopper: the order's events, its payment, and room for those just finished.
func newClient(concurrency int, patient bool) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // the shop under test is never behind one
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = 4 * concurrency
	transport.DisableCompression = true
	retried := new(atomic.Int64)
	c := &client{http: &http.Client{Transport: transport}, long: patience{retried: retried},
		few: patience{attempts: fewAttempts, retried: retried}}
	if patient {
		c.few = c.long
	}
	c.bank = c.few
	c.bank.faults = patient
	return c
}

// request is one message to a server.
type request struct {
	method, url string
	bearer      string
	key         string // Idempotency-Key
	contentType string
	body        []byte
}

// call sends a request, repeating it within the patience, and decodes the answer. It returns a [StatusError],
// [ErrBadAnswer], the error of ctx, or what the network said.
func (c *client) call(ctx context.Context, p patience, r request, into any) error {
	return p.do(ctx, func() error {
		response, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			return fmt.Errorf("%w: %s %s: %w", ErrBadAnswer, r.method, r.url, err)
		}
		return nil
	})
}

// send makes one attempt. The caller closes the body of what it returns.
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

// refusal reads what a problem document or Stripe's error envelope says.
func refusal(response *http.Response) error {
	e := &StatusError{Status: response.StatusCode}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	if err != nil {
		e.Message = fmt.Sprintf("(the reason could not be read: %v)", err)
		return e
	}
	e.Code, e.Message = explanation(data)
	return e
}

// explanation finds the code and the sentence in the body of a refusal, or returns the body itself.
func explanation(data []byte) (code, message string) {
	var said struct {
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
	if err := json.Unmarshal(data, &said); err != nil || said.Title+said.Detail+said.Error.Message == "" {
		return "", fmt.Sprintf("%.200q", data)
	}
	if said.Error.Message != "" {
		return said.Error.Code, said.Error.Message
	}
	message = said.Detail
	if message == "" {
		message = said.Title
	}
	for _, e := range said.Errors {
		message += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	return "", message
}
