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
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
	"tillstream/payments/sandbox"
)

const (
	secretKey      = "sk_test_tillstream_test"
	publishableKey = "pk_test_tillstream_test"
	webhookSecret  = "whsec_test"
)

// orders stands for the orders domain: the tests say what it would.
var orders = log.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// doorman lets "token-<order>" in.
type doorman struct{}

func (doorman) Allows(orderID, token string) bool { return token == "Bearer token-"+orderID }

// world is a shop's till, with a Stripe of its own.
type world struct {
	t       testing.TB
	log     *log.Log
	service *Service
	stripe  *sandbox.Server
	bank    string // where the sandbox is
	shop    string // where the till is
	skew    atomic.Int64
	stop    func() // ends the service
	lanes   *worker.Worker
	halt    func() // ends the lanes
	logged  *lockedBuffer
}

// setup changes a world before it starts.
type setup struct {
	deaf      bool                             // Stripe's webhooks do not arrive
	remembers bool                             // there is a MongoDB
	others    func(l *log.Log) []worker.Domain // domains in the same process
	gateway   func(Gateway) Gateway
	intercept sandbox.Interceptor
	front     func(bank http.Handler) http.Handler // stands between the till and the bank
}

func newWorld(t testing.TB, o setup) *world {
	t.Helper()
	w := &world{t: t, logged: &lockedBuffer{}}
	now := func() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }
	w.log = logtest.Open(t, func(c *log.Config) { c.Now = now })
	w.openBank(o)
	w.openShop(o)
	if !o.deaf {
		if err := w.stripe.SetWebhookURL(w.shop + "/webhooks/stripe"); err != nil {
			t.Fatal(err)
		}
	}
	w.stop = run(t, w.service.Run)
	w.work(o)
	return w
}

// work runs the lanes of the till, and waits until they are this process's: what stands in the log before that counts as
// begun by a predecessor. The reconciler runs when a test says so.
func (w *world) work(o setup) {
	w.t.Helper()
	till := w.service.Worker()
	till.Periodics = nil
	if o.remembers {
		for _, p := range w.service.Projections() {
			till.Batches = append(till.Batches, p.Batch(till.Log, project.Config{DB: w.service.config.DB, Window: time.Millisecond}))
		}
	}
	domains := []worker.Domain{till}
	if o.others != nil {
		domains = append(domains, o.others(w.log)...)
	}
	var err error
	if w.lanes, err = worker.New(w.t.Context(), w.log, worker.Config{Domains: domains}); err != nil {
		w.t.Fatal(err)
	}
	w.halt = run(w.t, w.lanes.Run)
	w.until("the till is ready", func() bool {
		waiting := slices.ContainsFunc(w.lanes.Lanes(), func(l worker.LaneStatus) bool { return !l.Leased })
		return !waiting && w.service.Ready() == nil
	})
}

func (w *world) openBank(o setup) {
	w.t.Helper()
	stripe, err := sandbox.New(sandbox.Config{SecretKey: secretKey, PublishableKey: publishableKey, WebhookSecret: webhookSecret, Intercept: o.intercept})
	if err != nil {
		w.t.Fatal(err)
	}
	front := http.Handler(stripe)
	if o.front != nil {
		front = o.front(front)
	}
	server := httptest.NewServer(front)
	w.t.Cleanup(server.Close)
	w.stripe, w.bank = stripe, server.URL
	run(w.t, stripe.Run)
}

func (w *world) openShop(o setup) {
	w.t.Helper()
	db := w.openDB(o)
	logger := slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config := Config{Log: w.log.ForDomain("payments"), DB: db, Access: doorman{}, SecretKey: secretKey, PublishableKey: publishableKey,
		WebhookSecret: webhookSecret, StripeURL: w.bank, Logger: logger}
	if o.gateway != nil {
		config.Gateway = o.gateway(newStripeGateway(secretKey, w.bank, logger))
	}
	var err error
	if w.service, err = New(config); err != nil {
		w.t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.service.Register(humago.New(mux, huma.DefaultConfig("payments", "1")))
	server := httptest.NewServer(mux)
	w.t.Cleanup(server.Close)
	w.shop = server.URL
}

// openDB opens a database of the test's own; where the test does not remember anything, a client is enough that never
// finds a server.
func (w *world) openDB(o setup) *mongo.Database {
	w.t.Helper()
	if o.remembers {
		return projecttest.Database(w.t)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel() // nobody answers there; do not wait for it
	db, err := project.Connect(ctx, "mongodb://127.0.0.1:1/nowhere")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := db.Client().Disconnect(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	return db
}

// run lets something run until the test ends, or is stopped before.
func run(t testing.TB, serve func(context.Context) error) (stop func()) {
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

// until waits for a fact.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("waited in vain until %s; the log says:\n%s", what, w.logged)
		}
	}
}

// say has orders state facts.
func (w *world) say(orderID string, facts ...events.Payload) {
	w.t.Helper()
	err := w.log.Do(w.t.Context(), func(tx *log.Tx) error {
		tx.WithCorrelation(orderID)
		return orders.Append(tx, orderID, facts...)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// await has a new order ask for its payment.
func (w *world) await(amount int64) (orderID string) {
	w.t.Helper()
	orderID = uuid.Must(uuid.NewV7()).String()
	w.say(orderID, events.OrderAwaitingPayment{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID), Number: "8F3K2-MQD7A",
		Amount: events.Money{Amount: amount, Currency: "GBP"}, ExpiresAt: time.Now().Add(time.Hour)})
	return orderID
}

// place has a new order ask for its payment and waits until it can be paid.
func (w *world) place(amount int64) (orderID string, p PaymentView) {
	w.t.Helper()
	orderID = w.await(amount)
	if status := w.get(orderID, 20, &p); status != http.StatusOK || p.ClientSecret == "" {
		w.t.Fatalf("payment of %s: HTTP %d %+v", orderID, status, p)
	}
	return orderID, p
}

func (w *world) accept(orderID string, amount int64) {
	w.t.Helper()
	w.say(orderID, events.OrderPaymentAccepted{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID), Amount: events.Money{Amount: amount, Currency: "GBP"}})
}

// get reads a payment as its shopper does.
func (w *world) get(orderID string, wait int, into *PaymentView) (status int) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, fmt.Sprintf("%s/api/orders/%s/payment?wait=%d", w.shop, url.PathEscape(orderID), wait), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer token-"+orderID)
	return w.do(request, into)
}

func (w *world) do(request *http.Request, into any) (status int) {
	w.t.Helper()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil && answer.StatusCode < 300 {
			w.t.Fatalf("%v in %s", err, body)
		}
	}
	return answer.StatusCode
}

// ask calls the bank as the shop's staff would in Stripe's dashboard, or with a nil form reads.
func (w *world) ask(path string, form url.Values) map[string]any {
	w.t.Helper()
	method, body := http.MethodGet, ""
	if form != nil {
		method, body = http.MethodPost, form.Encode()
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.bank+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+secretKey)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer map[string]any
	w.do(request, &answer)
	return answer
}

// pay confirms as the shopper's browser does, with one of Stripe's test cards.
func (w *world) pay(p PaymentView, card string) {
	w.t.Helper()
	w.ask("payment_intents/"+p.PaymentIntent+"/confirm", url.Values{"payment_method": {card}, "return_url": {"https://shop.example/back"}})
}
