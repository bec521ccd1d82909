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

// clock is a time that tests advance.
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

// testServer is a sandbox with a Stripe client of its own.
type testServer struct {
	*sandbox.Server
	t      *testing.T
	url    string
	stripe *client.API
	clock  *clock
	config sandbox.Config
	http   *httptest.Server
}

// newTestServer starts a sandbox; options change its configuration.
func newTestServer(t *testing.T, options ...func(*sandbox.Config)) *testServer {
	t.Helper()
	clock := newClock()
	config := sandbox.Config{
		SecretKey: secretKey, PublishableKey: publishableKey, WebhookSecret: webhookSecret, Now: clock.Now,
	}
	for _, option := range options {
		option(&config)
	}
	s := &testServer{t: t, clock: clock, config: config}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *testServer) start() {
	s.t.Helper()
	server, err := sandbox.New(s.config)
	if err != nil {
		s.t.Fatalf("start sandbox: %v", err)
	}
	s.Server = server
	s.http = httptest.NewServer(server)
	s.url = s.http.URL
	s.stripe = s.clientFor(secretKey)
}

func (s *testServer) clientFor(key string) *client.API {
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(s.url), MaxNetworkRetries: stripe.Int64(0),
		HTTPClient: s.http.Client(), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return client.New(key, &stripe.Backends{API: backend})
}

func (s *testServer) stop() {
	s.t.Helper()
	s.http.Close()
	if err := s.Close(); err != nil {
		s.t.Errorf("close sandbox: %v", err)
	}
}

// restart stops the sandbox and starts another one on its data directory.
func (s *testServer) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

func inDir(dir string) func(*sandbox.Config) {
	return func(c *sandbox.Config) { c.DataDir = dir }
}

func (s *testServer) create(change ...func(*stripe.PaymentIntentParams)) *stripe.PaymentIntent {
	s.t.Helper()
	params := &stripe.PaymentIntentParams{
		Amount: stripe.Int64(1250), Currency: stripe.String("GBP"), CaptureMethod: stripe.String("manual"),
		AutomaticPaymentMethods: &stripe.PaymentIntentAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)},
		Metadata:                map[string]string{"order_id": "order-1"},
	}
	for _, c := range change {
		c(params)
	}
	in, err := s.stripe.PaymentIntents.New(params)
	if err != nil {
		s.t.Fatalf("create intent: %v", err)
	}
	return in
}

func (s *testServer) confirm(id, card string) (*stripe.PaymentIntent, error) {
	return s.stripe.PaymentIntents.Confirm(id, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String(card)})
}

func (s *testServer) authorized() *stripe.PaymentIntent {
	s.t.Helper()
	in, err := s.confirm(s.create().ID, "pm_card_visa")
	if err != nil {
		s.t.Fatalf("confirm intent: %v", err)
	}
	return in
}

func (s *testServer) captured() *stripe.PaymentIntent {
	s.t.Helper()
	in, err := s.stripe.PaymentIntents.Capture(s.authorized().ID, nil)
	if err != nil {
		s.t.Fatalf("capture intent: %v", err)
	}
	return in
}

func (s *testServer) get(id string) *stripe.PaymentIntent {
	s.t.Helper()
	in, err := s.stripe.PaymentIntents.Get(id, nil)
	if err != nil {
		s.t.Fatalf("get intent %s: %v", id, err)
	}
	return in
}

// eventTypes returns the types of all events, oldest first.
func (s *testServer) eventTypes() []string {
	s.t.Helper()
	var types []string
	events := s.stripe.Events.List(&stripe.EventListParams{})
	for events.Next() {
		types = append([]string{string(events.Event().Type)}, types...)
	}
	if err := events.Err(); err != nil {
		s.t.Fatalf("list events: %v", err)
	}
	return types
}

// stripeError returns the Stripe error in err.
func stripeError(t *testing.T, err error) *stripe.Error {
	t.Helper()
	var e *stripe.Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want a Stripe error", err)
	}
	return e
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

// send sends a request without the Stripe client. headers are pairs of name and value. It does not fail the test, so every
// goroutine may call it.
func (s *testServer) send(method, path string, form url.Values, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	direct := &http.Client{
		Transport:     s.http.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := direct.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

func (s *testServer) mustSend(method, path string, form url.Values, headers ...string) answer {
	s.t.Helper()
	a, err := s.send(method, path, form, headers...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func bearer(key string) (name, value string) { return "Authorization", "Bearer " + key }

// newIntentForm returns the smallest valid creation.
func newIntentForm() url.Values {
	return url.Values{"amount": {"1250"}, "currency": {"gbp"}, "capture_method": {"manual"}}
}
