package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"tillstream/payments/sandbox"
)

const (
	secretKey      = "sk_test_tillstream_secret"
	publishableKey = "pk_test_tillstream_public"
	webhookSecret  = "whsec_test"
)

// clock is a time that only moves when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is one sandbox with the real client talking to it.
type world struct {
	*sandbox.Server
	t      *testing.T
	url    string
	stripe *client.API
	clock  *clock
	config sandbox.Config
	http   *httptest.Server
}

// newWorld starts a sandbox; options change its configuration.
func newWorld(t *testing.T, options ...func(*sandbox.Config)) *world {
	t.Helper()
	clock := newClock()
	config := sandbox.Config{
		SecretKey: secretKey, PublishableKey: publishableKey, WebhookSecret: webhookSecret, Now: clock.Now,
	}
	for _, option := range options {
		option(&config)
	}
	w := &world{t: t, clock: clock, config: config}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	w.t.Helper()
	server, err := sandbox.New(w.config)
	if err != nil {
		w.t.Fatalf("start sandbox: %v", err)
	}
	w.Server = server
	w.http = httptest.NewServer(server)
	w.url = w.http.URL
	w.stripe = w.clientFor(secretKey)
}

func (w *world) clientFor(key string) *client.API {
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(w.url), MaxNetworkRetries: stripe.Int64(0),
		HTTPClient: w.http.Client(), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return client.New(key, &stripe.Backends{API: backend})
}

func (w *world) stop() {
	w.t.Helper()
	w.http.Close()
	if err := w.Close(); err != nil {
		w.t.Errorf("close sandbox: %v", err)
	}
}

// restart is what a new process finds: nothing but the data folder.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func inFolder(dir string) func(*sandbox.Config) {
	return func(c *sandbox.Config) { c.DataDir = dir }
}

func (w *world) create(change ...func(*stripe.PaymentIntentParams)) *stripe.PaymentIntent {
	w.t.Helper()
	params := &stripe.PaymentIntentParams{
		Amount: stripe.Int64(1250), Currency: stripe.String("GBP"), CaptureMethod: stripe.String("manual"),
		AutomaticPaymentMethods: &stripe.PaymentIntentAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)},
		Metadata:                map[string]string{"order_id": "order-1"},
	}
	for _, c := range change {
		c(params)
	}
	in, err := w.stripe.PaymentIntents.New(params)
	if err != nil {
		w.t.Fatalf("create intent: %v", err)
	}
	return in
}

func (w *world) confirm(id, card string) (*stripe.PaymentIntent, error) {
	return w.stripe.PaymentIntents.Confirm(id, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String(card)})
}

func (w *world) authorized() *stripe.PaymentIntent {
	w.t.Helper()
	in, err := w.confirm(w.create().ID, "pm_card_visa")
	if err != nil {
		w.t.Fatalf("confirm intent: %v", err)
	}
	return in
}

func (w *world) captured() *stripe.PaymentIntent {
	w.t.Helper()
	in, err := w.stripe.PaymentIntents.Capture(w.authorized().ID, nil)
	if err != nil {
		w.t.Fatalf("capture intent: %v", err)
	}
	return in
}

func (w *world) get(id string) *stripe.PaymentIntent {
	w.t.Helper()
	in, err := w.stripe.PaymentIntents.Get(id, nil)
	if err != nil {
		w.t.Fatalf("get intent %s: %v", id, err)
	}
	return in
}

// eventTypes lists what happened, oldest first.
func (w *world) eventTypes() []string {
	w.t.Helper()
	var types []string
	events := w.stripe.Events.List(&stripe.EventListParams{})
	for events.Next() {
		types = append([]string{string(events.Event().Type)}, types...)
	}
	if err := events.Err(); err != nil {
		w.t.Fatalf("list events: %v", err)
	}
	return types
}

// stripeError is the API's refusal inside err, or the end of the test.
func stripeError(t *testing.T, err error) *stripe.Error {
	t.Helper()
	var refusal *stripe.Error
	if !errors.As(err, &refusal) {
		t.Fatalf("got error %v, want a Stripe error", err)
	}
	return refusal
}

// answer is a raw response.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) decode(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("decode %q: %v", a.body, err)
	}
}

// send makes a request without the client; headers come as name, value pairs.
// It never fails the test itself, so that other goroutines may call it.
func (w *world) send(method, path string, form url.Values, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	stay := &http.Client{
		Transport:     w.http.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := stay.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

func (w *world) mustSend(method, path string, form url.Values, headers ...string) answer {
	w.t.Helper()
	a, err := w.send(method, path, form, headers...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func bearer(key string) (name, value string) { return "Authorization", "Bearer " + key }

// newIntentForm is the smallest valid creation.
func newIntentForm() url.Values {
	return url.Values{"amount": {"1250"}, "currency": {"gbp"}, "capture_method": {"manual"}}
}
