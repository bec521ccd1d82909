package payments

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/paymentintent"
	"github.com/stripe/stripe-go/v76/refund"
)

// stripeTimeout bounds a request to Stripe with its answer, and the time that it waits for its turn.
const stripeTimeout = 20 * time.Second

// stripeGateway is the [Gateway] over HTTP. It has a backend of its own, because the package variables of the SDK are shared by
// the whole process.
type stripeGateway struct {
	backend stripe.Backend
	key     string
	intents paymentintent.Client
	refunds refund.Client
}

// stripeOptions are the settings of a [stripeGateway].
type stripeOptions struct {
	key    string
	base   string           // origin of the API; "" for Stripe's own
	rate   float64          // requests per second; 0: by the key
	now    func() time.Time // the shop's clock
	logger *slog.Logger
}

// newStripeGateway returns a gateway to a server that speaks Stripe's API. The SDK must not retry: a repeated act retrieves the state
// from Stripe first, and a retry inside the SDK would not.
func newStripeGateway(o stripeOptions) *stripeGateway {
	introduce()
	circuit := &breaker{now: o.now, changed: func(open bool) { o.logger.Error("circuit to Stripe changed", "open", open) }}
	config := &stripe.BackendConfig{
		EnableTelemetry: stripe.Bool(false),
		HTTPClient: &http.Client{Timeout: stripeTimeout, Transport: newStripeTransport(newHTTPTransport(), rateOf(o.rate, o.key), circuit),
			CheckRedirect: refuseRedirect},
		LeveledLogger:     sdkLogger{o.logger},
		MaxNetworkRetries: stripe.Int64(0),
	}
	if o.base != "" {
		config.URL = stripe.String(strings.TrimRight(o.base, "/"))
	}
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, config)
	return &stripeGateway{backend: backend, key: o.key,
		intents: paymentintent.Client{B: backend, Key: o.key}, refunds: refund.Client{B: backend, Key: o.key}}
}

// refuseRedirect makes a client return a redirection as it is: Stripe never redirects, and the key must not go elsewhere.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newHTTPTransport() *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns: 2 * actConcurrency, MaxIdleConnsPerHost: 2 * actConcurrency, IdleConnTimeout: 90 * time.Second,
	}
}

// rateOf returns the requests per second for a key; 0 means no limit. A sandbox has none.
func rateOf(setting float64, key string) float64 {
	switch {
	case setting > 0:
		return setting
	case isSandboxKey(key):
		return 0
	case strings.Contains(key, "_live_"):
		return liveRate
	}
	return testRate
}

// introduce tells Stripe the name and version of this program, which Stripe's support sees in the logs of the account
// (docs.stripe.com/building-plugins). The SDK keeps them in a variable of the process.
var introduce = sync.OnceFunc(func() {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	stripe.SetAppInfo(&stripe.AppInfo{Name: "Tillstream", Version: version, URL: "https://tillstream.example"})
})

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
