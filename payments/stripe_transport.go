package payments

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// The limits that Stripe publishes at docs.stripe.com/rate-limits: 100 requests per second of an account in live mode, 25 in test
// mode, and 25 for each endpoint. The defaults of [Config].StripeRate leave a fifth of them to the dashboard and to other programs of
// the account.
const (
	liveRate     = 80
	testRate     = 20
	endpointRate = 20
)

// maxAnswer bounds the bytes of an answer. A page of 100 events has less than 1 MiB.
const maxAnswer = 16 << 20

var (
	// ErrCircuitOpen is wrapped together with [ErrRetry] while no request is sent, because many in a row have failed.
	ErrCircuitOpen = errors.New("circuit to Stripe open")

	errRateLimit = errors.New("too many requests wait for their turn")
)

// unsentError is an error before a request was sent, so the request had no effect.
type unsentError struct{ cause error }

func (e *unsentError) Error() string { return e.cause.Error() }
func (e *unsentError) Unwrap() error { return e.cause }

// foreignAnswerError is returned for an answer that has not the shape of Stripe's, such as a page of a proxy, a redirection or
// truncated JSON. Its text does not contain the answer, which may have secrets.
type foreignAnswerError struct {
	status      int
	contentType string
	size        int
}

func (e *foreignAnswerError) Error() string {
	return fmt.Sprintf("HTTP %d with %d bytes of %.60q is no answer of Stripe's API: check STRIPE_API_BASE and the proxies before it", e.status, e.size, e.contentType)
}

// stripeTransport sends the requests of one [stripeGateway]. It keeps them under the rate limit, sends none while the circuit breaker is
// open, and refuses answers that are not Stripe's. The lane, the reconciler and the API share it.
type stripeTransport struct {
	next    http.RoundTripper
	breaker *breaker
	account *rate.Limiter
	each    rate.Limit // of an endpoint

	mu        sync.Mutex
	endpoints map[string]*rate.Limiter
}

// newStripeTransport returns a transport for a number of requests per second; 0 means no limit.
func newStripeTransport(next http.RoundTripper, perSecond float64, b *breaker) *stripeTransport {
	t := &stripeTransport{next: next, breaker: b, account: rate.NewLimiter(rate.Inf, 0), each: rate.Inf, endpoints: map[string]*rate.Limiter{}}
	if perSecond > 0 {
		t.account = limiterOf(rate.Limit(perSecond))
		t.each = rate.Limit(min(perSecond, max(endpointRate, perSecond/4))) // a raised limit of the account raises those of its endpoints
	}
	return t
}

// limiterOf returns a limiter with a burst of a fifth of a second.
func limiterOf(limit rate.Limit) *rate.Limiter {
	return rate.NewLimiter(limit, int(math.Ceil(float64(limit)/5)))
}

// RoundTrip implements http.RoundTripper.
func (t *stripeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	done, err := t.admit(r)
	if err != nil {
		if r.Body != nil {
			return nil, errors.Join(&unsentError{err}, r.Body.Close())
		}
		return nil, &unsentError{err}
	}
	response, err := t.exchange(r)
	done(!countsAsFailure(r.Context(), response, err))
	if err == nil {
		err = checkAnswer(response)
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

// admit waits until a request may be sent. done must be called with its success.
func (t *stripeTransport) admit(r *http.Request) (done func(success bool), err error) {
	done, ok := t.breaker.allow()
	if !ok {
		return nil, ErrCircuitOpen
	}
	ctx, cancel := context.WithTimeout(r.Context(), stripeTimeout/2) // the other half is for the request itself
	defer cancel()
	for _, limiter := range []*rate.Limiter{t.endpoint(r), t.account} {
		if err := limiter.Wait(ctx); err != nil {
			done(true) // it shows nothing about Stripe
			return nil, fmt.Errorf("%w: %w", errRateLimit, err)
		}
	}
	return done, nil
}

// endpoint returns the limiter of a request's endpoint, such as POST /v1/payment_intents/{id}/capture.
func (t *stripeTransport) endpoint(r *http.Request) *rate.Limiter {
	parts := strings.Split(r.URL.Path, "/")
	for i, part := range parts {
		if i > 1 && strings.ContainsAny(part, "0123456789") { // after the version, only ids have digits
			parts[i] = "{id}"
		}
	}
	name := r.Method + strings.Join(parts, "/")
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.endpoints[name] == nil {
		t.endpoints[name] = limiterOf(t.each)
	}
	return t.endpoints[name]
}

// exchange sends a request and reads the whole answer, so that a connection which breaks in the middle of it counts as a failure.
func (t *stripeTransport) exchange(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	response.Body = &answerBody{Reader: bytes.NewReader(body), all: body}
	return response, nil
}

// answerBody is the body of an answer that is in memory.
type answerBody struct {
	*bytes.Reader
	all []byte
}

// Close implements io.Closer.
func (*answerBody) Close() error { return nil }

// countsAsFailure reports whether an exchange shows that Stripe cannot be used now: no answer, a server error, too many requests or a
// refused key. A request that its caller has given up shows nothing.
func countsAsFailure(ctx context.Context, response *http.Response, err error) bool {
	if err != nil {
		return !errors.Is(ctx.Err(), context.Canceled)
	}
	status := response.StatusCode
	return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status == http.StatusUnauthorized
}

// checkAnswer returns a [foreignAnswerError] for an answer that is neither an object nor an error of Stripe. The SDK would take such
// a 200 for an empty object, and an empty list of refunds would be believed.
func checkAnswer(response *http.Response) error {
	body, _ := response.Body.(*answerBody)
	var shape struct {
		Object string `json:"object"`
		Error  *struct {
			Type string `json:"type"`
		} `json:"error"`
	}
	err := json.Unmarshal(body.all, &shape)
	succeeded := response.StatusCode >= 200 && response.StatusCode < 300
	failed := response.StatusCode >= 400
	if err == nil && (succeeded && shape.Object != "" && shape.Error == nil || failed && shape.Error != nil && shape.Error.Type != "") {
		return nil
	}
	return &foreignAnswerError{status: response.StatusCode, contentType: response.Header.Get("Content-Type"), size: len(body.all)}
}
