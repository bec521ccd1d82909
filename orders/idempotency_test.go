package orders_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/orders"
)

// access gives every order its own token.
type access struct{}

func (access) Token(orderID string) string       { return "token-" + orderID }
func (access) Allows(orderID, token string) bool { return token == "Bearer token-"+orderID }
func (access) Staff(token string) (api.Principal, bool) {
	return api.Principal{Actor: "staff:mira", Permissions: api.Admin.Permissions()}, token == "Bearer staff"
}

// hold is how long stock is held for an unpaid order.
const hold = 30 * time.Minute

func checkout(email string, quantity int) string { return checkoutOf("MUG", email, quantity) }

func checkoutOf(sku, email string, quantity int) string {
	return fmt.Sprintf(`{"email":%q,"name":"Ada","locale":"en","shipping_address":{"line1":"12 Analytical Row","city":"London",`+
		`"postal_code":"W1J 7NT","country":"GB"},"lines":[{"sku":%q,"quantity":%d}]}`, email, sku, quantity)
}

// openAPI returns the API of one process. Placing an order needs no database.
func openAPI(t *testing.T, server *embedded.NATS) (*eventlog.Log, http.Handler) {
	t.Helper()
	l := logtest.OpenOn(t, server)
	_, handler := open(t, l)
	return l, handler
}

func open(t *testing.T, l *eventlog.Log) (*orders.Service, http.Handler) {
	t.Helper()
	return openWith(t, orders.Config{Log: l.ForDomain("orders")})
}

func openWith(t *testing.T, config orders.Config) (*orders.Service, http.Handler) {
	t.Helper()
	config.Access, config.DB, config.Logger, config.HoldFor = access{}, new(mongo.Database), slog.New(slog.DiscardHandler), hold
	service, err := orders.New(config)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	api := huma.DefaultConfig("test", "1")
	api.CreateHooks = nil // as in a process: the hooks add links to schemas, which change the answers
	service.Register(humago.New(mux, api))
	return service, mux
}

// items stands in for the entity of the inventory domain.
var items = eventlog.Entity[events.Payload]{Prefix: events.PrefixItem, LastOnly: true,
	Apply: func(_ events.Payload, e events.Event) (events.Payload, error) { return e.Payload, nil }}

// listMug lists a mug.
func listMug(t *testing.T, l *eventlog.Log) { listItem(t, l, "MUG") }

func listItem(t *testing.T, l *eventlog.Log, sku string) {
	t.Helper()
	listAt(t, l, sku, events.Money{Amount: 1250, Currency: "GBP"})
}

func listAt(t *testing.T, l *eventlog.Log, sku string, price events.Money) {
	t.Helper()
	err := l.ForDomain("inventory").Do(t.Context(), func(tx *eventlog.Tx) error {
		return items.Append(tx, sku, events.ItemChanged{SKU: sku, Title: "A mug", Price: price})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func post(handler http.Handler, key, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/orders", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", "a key of the tests: "+key)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// countOrderEvents returns how many events of orders are in the log. Without a worker each is an order.
func countOrderEvents(t *testing.T, l *eventlog.Log) uint64 {
	t.Helper()
	stream, err := l.JetStream().Stream(t.Context(), events.StreamShop)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(events.PrefixOrder+"*"))
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for _, messages := range info.State.Subjects {
		n += messages
	}
	return n
}

// Row 3 of the fault matrix: one request, 50 times at two processes, places one order and gets the same answer each time.
func TestFiftyRequestsWithOneKeyPlaceOneOrder(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, first := openAPI(t, server)
	_, second := openAPI(t, server)
	listMug(t, l)
	answers := make([]*httptest.ResponseRecorder, 50)
	var requests sync.WaitGroup
	for i := range answers {
		requests.Go(func() { answers[i] = post([]http.Handler{first, second}[i%2], "key", checkout("ada@example.com", 1)) })
	}
	requests.Wait()
	fresh := 0
	for i, a := range answers {
		if a.Code != http.StatusCreated || a.Body.String() != answers[0].Body.String() {
			t.Errorf("answer %d: got %d %s, want 201 %s", i, a.Code, a.Body, answers[0].Body)
		}
		if a.Header().Get("Idempotent-Replayed") == "" {
			fresh++
		}
	}
	if n := countOrderEvents(t, l); n != 1 || fresh != 1 {
		t.Errorf("got %d orders in the log and %d answers without Idempotent-Replayed, want 1 and 1", n, fresh)
	}
}

// Row 4 of the fault matrix: the same key is refused with another body. The same key of another customer places another order.
func TestAnIdempotencyKeyIsForOneCustomerAndOneBody(t *testing.T) {
	t.Parallel()
	l, handler := openAPI(t, logtest.Server(t))
	listMug(t, l)
	if a := post(handler, "key", checkout("ada@example.com", 1)); a.Code != http.StatusCreated {
		t.Fatalf("got %d %s, want 201", a.Code, a.Body)
	}
	if a := post(handler, "key", checkout("ada@example.com", 2)); a.Code != http.StatusUnprocessableEntity {
		t.Errorf("another body: got %d %s, want 422", a.Code, a.Body)
	}
	if a := post(handler, "key", checkout("eve@example.com", 1)); a.Code != http.StatusCreated || a.Header().Get("Idempotent-Replayed") != "" {
		t.Errorf("another customer: got %d %s, want 201 without Idempotent-Replayed", a.Code, a.Body)
	}
	if n := countOrderEvents(t, l); n != 2 {
		t.Errorf("got %d orders in the log, want 2", n)
	}
}

// A process that stops answers the requests that it cannot finish with 503 and Retry-After.
func TestACancelledRequestIsAnsweredWithRetryAfter(t *testing.T) {
	t.Parallel()
	l, handler := openAPI(t, logtest.Server(t))
	listMug(t, l)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	r := httptest.NewRequestWithContext(stopped, http.MethodPost, "/api/orders", strings.NewReader(checkout("ada@example.com", 1)))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %v %s, want 503 with Retry-After", w.Code, w.Header(), w.Body)
	}
}

// SKUs come from outside the shop: every SKU that can be listed can be ordered.
func TestAnySKUCanBeOrdered(t *testing.T) {
	t.Parallel()
	l, handler := openAPI(t, logtest.Server(t))
	for _, sku := range []string{"a.>", "10/4 x", "Größe 40", "100%", "*"} {
		if a := post(handler, sku, checkoutOf(sku, "ada@example.com", 1)); a.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s before it is listed: got %d %s, want 422", sku, a.Code, a.Body)
		}
		listItem(t, l, sku)
		if a := post(handler, sku, checkoutOf(sku, "ada@example.com", 1)); a.Code != http.StatusCreated {
			t.Errorf("%s: got %d %s, want 201", sku, a.Code, a.Body)
		}
	}
}
