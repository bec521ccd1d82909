package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// APIVersion is the version of Stripe's API whose shapes the sandbox speaks.
const APIVersion = "2023-10-16"

// Config says how a sandbox behaves.
type Config struct {
	// BaseURL is where shoppers reach the sandbox; links to its 3-D Secure page
	// start with it. Default: the address that the request was sent to.
	BaseURL string
	// DataDir is the folder of the journal, made if missing. One process at a
	// time may use it. Default: nothing is kept beyond the process.
	DataDir string
	// Intercept stands around the work of every API request. Default: none.
	Intercept Interceptor
	// Logger gets what the operator should know. Default: nothing is logged.
	Logger *slog.Logger
	// Now is the clock of created times, key expiry and signatures. Default: time.Now.
	Now func() time.Time
	// PublishableKey opens what a shopper's browser may do. Required.
	PublishableKey string
	// RetryDelays is the webhook calendar: how long to wait after each failed
	// delivery. After the last one the event is given up (and stays in the event
	// list). Default: 100 ms doubling up to a minute, 20 tries in all.
	RetryDelays []time.Duration
	// SecretKey opens everything. Required.
	SecretKey string
	// WebhookClient delivers webhooks. Default: 16 kept-alive connections, 10 s
	// for an answer, redirects not followed.
	WebhookClient *http.Client
	// WebhookEvents are the event types to deliver, "*" for all. Default: the
	// outcomes of payments, refunds and disputes.
	WebhookEvents []string
	// WebhookSecret signs deliveries. Required.
	WebhookSecret string
	// WebhookURL receives deliveries. Default: they wait for SetWebhookURL.
	WebhookURL string
}

// Request is what an Interceptor may know of an API request.
type Request struct {
	ID             string
	Method         string
	Path           string
	IdempotencyKey string
}

// Answer is what an API request is told.
type Answer struct {
	Status int
	Body   []byte
}

// Interceptor stands around the work of an API request, after the request has
// been authenticated and its idempotency key taken. It may wait before or
// after calling work, not call it at all, or answer something else than it
// returned: the answer that the interceptor gives is the one that is sent and
// kept under the key. While it runs, the key counts as in use.
type Interceptor func(ctx context.Context, r Request, work func() Answer) Answer

// defaultWebhookEvents is what a shop has to hear of.
var defaultWebhookEvents = []string{
	"payment_intent.amount_capturable_updated",
	"payment_intent.succeeded",
	"payment_intent.payment_failed",
	"payment_intent.canceled",
	"payment_intent.requires_action",
	"charge.refunded",
	"charge.refund.updated",
	"charge.dispute.created",
	"charge.dispute.closed",
}

const (
	deliveryTimeout    = 10 * time.Second
	deliveryConcurrent = 16
	deliveryTries      = 20
	firstRetryDelay    = 100 * time.Millisecond
	lastRetryDelay     = time.Minute
)

// withDefaults fills what was left open.
func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Intercept == nil {
		c.Intercept = func(_ context.Context, _ Request, work func() Answer) Answer { return work() }
	}
	if c.RetryDelays == nil {
		c.RetryDelays = doublingDelays(deliveryTries - 1)
	}
	if c.WebhookClient == nil {
		c.WebhookClient = newWebhookClient()
	}
	if c.WebhookEvents == nil {
		c.WebhookEvents = defaultWebhookEvents
	}
	c.BaseURL = strings.TrimSuffix(c.BaseURL, "/")
	return c
}

// validate names the first field that cannot work.
func (c Config) validate() error {
	switch {
	case !strings.HasPrefix(c.SecretKey, "sk_test_"):
		return errors.New("sandbox config: SecretKey must start with sk_test_")
	case !strings.HasPrefix(c.PublishableKey, "pk_test_"):
		return errors.New("sandbox config: PublishableKey must start with pk_test_")
	case c.WebhookSecret == "":
		// An empty secret would sign with a key that everybody knows.
		return errors.New("sandbox config: WebhookSecret is required")
	}
	if err := checkURL(c.WebhookURL); err != nil {
		return fmt.Errorf("sandbox config: WebhookURL: %w", err)
	}
	if err := checkURL(c.BaseURL); err != nil {
		return fmt.Errorf("sandbox config: BaseURL: %w", err)
	}
	return nil
}

// checkURL accepts absolute web addresses, and "".
func checkURL(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not an absolute http address", address)
	}
	return nil
}

func doublingDelays(n int) []time.Duration {
	delays := make([]time.Duration, n)
	next := firstRetryDelay
	for i := range delays {
		delays[i] = next
		next = min(2*next, lastRetryDelay)
	}
	return delays
}

func newWebhookClient() *http.Client {
	return &http.Client{
		Timeout: deliveryTimeout,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: deliveryConcurrent,
			MaxConnsPerHost:     deliveryConcurrent,
			IdleConnTimeout:     time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
