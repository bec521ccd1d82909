package payments

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/paymentintent"
	"github.com/stripe/stripe-go/v76/refund"
)

// stripeTimeout bounds a request to Stripe with its answer.
const stripeTimeout = 20 * time.Second

// stripeGateway is the [Gateway] over HTTP. It has a backend of its own, because the package variables of the SDK are shared by
// the whole process.
type stripeGateway struct {
	backend stripe.Backend
	key     string
	intents paymentintent.Client
	refunds refund.Client
}

// newStripeGateway returns a gateway to Stripe at url, "" for the real one. The SDK must not retry: a repeated act retrieves
// the state from Stripe first, and a retry inside the SDK would not.
func newStripeGateway(key, url string, logger *slog.Logger) *stripeGateway {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns: 2 * actConcurrency, MaxIdleConnsPerHost: 2 * actConcurrency, IdleConnTimeout: 90 * time.Second,
	}
	config := &stripe.BackendConfig{
		EnableTelemetry:   stripe.Bool(false),
		HTTPClient:        &http.Client{Timeout: stripeTimeout, Transport: transport},
		LeveledLogger:     sdkLogger{logger},
		MaxNetworkRetries: stripe.Int64(0),
	}
	if url != "" {
		config.URL = stripe.String(url)
	}
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, config)
	return &stripeGateway{backend: backend, key: key,
		intents: paymentintent.Client{B: backend, Key: key}, refunds: refund.Client{B: backend, Key: key}}
}

// sdkLogger logs the SDK's lines at debug level. It drops the SDK's own debug lines, because they contain whole answers with
// client secrets.
type sdkLogger struct{ to *slog.Logger }

func (l sdkLogger) Debugf(string, ...any)             {}
func (l sdkLogger) Infof(format string, args ...any)  { l.debug(format, args) }
func (l sdkLogger) Warnf(format string, args ...any)  { l.debug(format, args) }
func (l sdkLogger) Errorf(format string, args ...any) { l.debug(format, args) }

func (l sdkLogger) debug(format string, args []any) {
	if l.to.Enabled(context.Background(), slog.LevelDebug) {
		l.to.Debug("stripe client", "line", fmt.Sprintf(format, args...))
	}
}
