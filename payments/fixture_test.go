package payments

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
	"tillstream/payments/sandbox"
)

const (
	secretKey      = "sk_test_tillstream_test"
	publishableKey = "pk_test_tillstream_test"
	webhookSecret  = "whsec_test_0123456789abcdef"
)

// orders stands for the orders domain, whose events the tests append. Its state is the number of events.
var orders = eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// tokenAccess allows the token "token-<order>".
type tokenAccess struct{}

func (tokenAccess) Allows(orderID, token string) bool { return token == "Bearer token-"+orderID }

// Staff allows the token "staff".
func (tokenAccess) Staff(authorization string) (api.Principal, bool) {
	return api.Principal{Actor: "staff:mira", Permissions: api.Viewer.Permissions()}, authorization == "Bearer staff"
}

// fixture is the payments domain with a Stripe sandbox of its own.
type fixture struct {
	t           testing.TB
	log         *eventlog.Log
	service     *Service
	stripe      *sandbox.Server
	stripeURL   string // of the sandbox
	shopURL     string // of the domain's API
	clockOffset atomic.Int64
	stop        func() // stops the service
	worker      *worker.Worker
	stopWorker  func()
	logOutput   *syncBuffer
	registry    *prometheus.Registry
}

// fixtureOptions changes a fixture before it starts.
type fixtureOptions struct {
	noWebhooks bool                                    // the sandbox delivers no webhooks
	database   bool                                    // with a MongoDB
	domains    func(l *eventlog.Log) []worker.Domain   // more domains in the same process
	gateway    func(Gateway) Gateway                   // wraps the gateway to Stripe
	capture    string                                  // of new payments
	parts      bool                                    // the sandbox captures authorizations in parts
	intercept  sandbox.Interceptor                     // inside the sandbox
	proxy      func(sandbox http.Handler) http.Handler // in front of the sandbox
}

func newFixture(t testing.TB, o fixtureOptions) *fixture {
	t.Helper()
	f := &fixture{t: t, logOutput: &syncBuffer{}, registry: prometheus.NewRegistry()}
	now := func() time.Time { return time.Now().Add(time.Duration(f.clockOffset.Load())) }
	f.log = logtest.Open(t, func(c *eventlog.Config) { c.Now = now })
	f.startStripe(o)
	f.startShop(o)
	if !o.noWebhooks {
		if err := f.stripe.SetWebhookURL(f.shopURL + "/webhooks/stripe"); err != nil {
			t.Fatal(err)
		}
	}
	f.stop = runInBackground(t, f.service.Run)
	f.startWorker(o)
	return f
}

// startWorker runs the lanes, without the reconciler, and waits until this process has their leases: the attempts of earlier
// events count as begun by another process.
func (f *fixture) startWorker(o fixtureOptions) {
	f.t.Helper()
	domain := f.service.Worker()
	domain.Periodics = nil
	if o.database {
		for _, p := range f.service.Projections() {
			domain.Batches = append(domain.Batches, p.Batch(domain.Log, project.Config{DB: f.service.config.DB, Window: time.Millisecond}))
		}
	}
	domains := []worker.Domain{domain}
	if o.domains != nil {
		domains = append(domains, o.domains(f.log)...)
	}
	var err error
	if f.worker, err = worker.New(f.t.Context(), f.log, worker.Config{Domains: domains}); err != nil {
		f.t.Fatal(err)
	}
	f.stopWorker = runInBackground(f.t, f.worker.Run)
	f.waitUntil("the worker is ready", func() bool {
		waiting := slices.ContainsFunc(f.worker.Lanes(), func(l worker.LaneStatus) bool { return !l.Leased })
		return !waiting && f.service.Ready() == nil
	})
}

func (f *fixture) startStripe(o fixtureOptions) {
	f.t.Helper()
	stripe, err := sandbox.New(sandbox.Config{SecretKey: secretKey, PublishableKey: publishableKey, WebhookSecret: webhookSecret, Intercept: o.intercept, Multicapture: o.parts})
	if err != nil {
		f.t.Fatal(err)
	}
	handler := http.Handler(stripe)
	if o.proxy != nil {
		handler = o.proxy(handler)
	}
	server := httptest.NewServer(handler)
	f.t.Cleanup(server.Close)
	f.stripe, f.stripeURL = stripe, server.URL
	runInBackground(f.t, stripe.Run)
}

func (f *fixture) startShop(o fixtureOptions) {
	f.t.Helper()
	db := f.openDB(o)
	logger := slog.New(slog.NewTextHandler(f.logOutput, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config := Config{Log: f.log.ForDomain("payments"), DB: db, Access: tokenAccess{}, SecretKey: secretKey, PublishableKey: publishableKey,
		WebhookSecret: webhookSecret, StripeAPIBase: f.stripeURL, Logger: logger, Registerer: f.registry, Capture: o.capture}
	if o.gateway != nil {
		config.Gateway = o.gateway(newStripeGateway(stripeOptions{key: secretKey, base: f.stripeURL, now: f.log.Now, logger: logger}))
	}
	var err error
	if f.service, err = New(config); err != nil {
		f.t.Fatal(err)
	}
	mux := http.NewServeMux()
	f.service.Register(humago.New(mux, huma.DefaultConfig("payments", "1")))
	server := httptest.NewServer(mux)
	f.t.Cleanup(server.Close)
	f.shopURL = server.URL
}

// openDB opens a database of the test's own, or a client without a server for a test that needs no database.
func (f *fixture) openDB(o fixtureOptions) *mongo.Database {
	f.t.Helper()
	if o.database {
		return projecttest.Database(f.t)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	cancel() // do not wait for the server
	db, err := project.Connect(ctx, "mongodb://127.0.0.1:1/nowhere")
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := db.Client().Disconnect(context.Background()); err != nil {
			f.t.Error(err)
		}
	})
	return db
}

// runInBackground runs serve until stop is called or the test ends.
func runInBackground(t testing.TB, serve func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := serve(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// waitUntil waits until a condition holds.
func (f *fixture) waitUntil(what string, holds func() bool) {
	f.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			f.t.Fatalf("after 20 s: want %s; log output:\n%s", what, f.logOutput)
		}
	}
}

// appendOrder appends events of an order.
func (f *fixture) appendOrder(orderID string, facts ...events.Payload) {
	f.t.Helper()
	err := f.log.Do(f.t.Context(), func(tx *eventlog.Tx) error {
		tx.WithCorrelation(orderID)
		return orders.Append(tx, orderID, facts...)
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// cancelOrder appends the cancellation of an order.
func (f *fixture) cancelOrder(orderID string) {
	f.t.Helper()
	f.appendOrder(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
}

// expireOrder appends the expiry of an order.
func (f *fixture) expireOrder(orderID string) {
	f.t.Helper()
	f.appendOrder(orderID, events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}})
}

// requestPayment appends the request of a payment by a new order.
func (f *fixture) requestPayment(amount int64) (orderID string) {
	f.t.Helper()
	orderID = uuid.Must(uuid.NewV7()).String()
	f.appendOrder(orderID, events.OrderAwaitingPayment{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID), Number: "8F3K2-MQD7A",
		Amount: events.Money{Amount: amount, Currency: "GBP"}, ExpiresAt: time.Now().Add(time.Hour), Shopper: events.ShopperGuest})
	return orderID
}

// placeOrder requests a payment for a new order and waits until it can be paid.
func (f *fixture) placeOrder(amount int64) (orderID string, p PaymentBody) {
	f.t.Helper()
	orderID = f.requestPayment(amount)
	if status := f.getPayment(orderID, 20, &p); status != http.StatusOK || p.ClientSecret == "" {
		f.t.Fatalf("payment of order %s: got HTTP %d %+v, want 200 with a client secret", orderID, status, p)
	}
	return orderID, p
}

func (f *fixture) acceptPayment(orderID string, amount int64) {
	f.t.Helper()
	f.appendOrder(orderID, events.OrderPaymentAccepted{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID), Amount: events.Money{Amount: amount, Currency: "GBP"}})
}

// buy places an order and pays it, until the payment is captured.
func (f *fixture) buy(amount int64) (orderID string, p PaymentBody) {
	f.t.Helper()
	orderID, p = f.placeOrder(amount)
	f.pay(p, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, amount)
	f.waitForStatus(orderID, StatusCaptured)
	return orderID, p
}

// getPayment reads a payment as its shopper.
func (f *fixture) getPayment(orderID string, wait int, into *PaymentBody) (status int) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, fmt.Sprintf("%s/api/orders/%s/payment?wait=%d", f.shopURL, url.PathEscape(orderID), wait), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer token-"+orderID)
	return f.do(request, into)
}

func (f *fixture) do(request *http.Request, into any) (status int) {
	f.t.Helper()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil && answer.StatusCode < 300 {
			f.t.Fatalf("decode %s: %v", body, err)
		}
	}
	return answer.StatusCode
}

// callStripe posts a form to the sandbox, as staff can in Stripe's dashboard. With a nil form it reads.
func (f *fixture) callStripe(path string, form url.Values) map[string]any {
	f.t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.stripeURL+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+secretKey)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer map[string]any
	f.do(request, &answer)
	return answer
}

// pay confirms an intent with one of Stripe's test cards, as the shopper's browser does.
func (f *fixture) pay(p PaymentBody, card string) {
	f.t.Helper()
	f.callStripe("payment_intents/"+p.PaymentIntent+"/confirm", url.Values{"payment_method": {card}, "return_url": {"https://shop.example/back"}})
}
