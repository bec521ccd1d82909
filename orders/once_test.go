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
	"tillstream/events/embedded"
	"tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/orders"
)

// guest gives every order a token of its own.
type guest struct{}

func (guest) Token(orderID string) string       { return "token-" + orderID }
func (guest) Allows(orderID, token string) bool { return token == "Bearer token-"+orderID }
func (guest) Staff(string) bool                 { return false }

// hold is how long an order waits for its money.
const hold = 30 * time.Minute

func checkout(email string, quantity int) string { return checkoutOf("MUG", email, quantity) }

func checkoutOf(sku, email string, quantity int) string {
	return fmt.Sprintf(`{"email":%q,"name":"Ada","locale":"en","shipping_address":{"line1":"12 Analytical Row","city":"London",`+
		`"postal_code":"W1J 7NT","country":"GB"},"lines":[{"sku":%q,"quantity":%d}]}`, email, sku, quantity)
}

// openDoor is one process that takes orders. Taking one needs no database.
func openDoor(t *testing.T, server *embedded.NATS) (*log.Log, http.Handler) {
	t.Helper()
	l := logtest.OpenOn(t, server)
	_, door := open(t, l)
	return l, door
}

func open(t *testing.T, l *log.Log) (*orders.Service, http.Handler) {
	t.Helper()
	return openWith(t, orders.Config{Log: l.ForDomain("orders")})
}

func openWith(t *testing.T, config orders.Config) (*orders.Service, http.Handler) {
	t.Helper()
	config.Access, config.DB, config.Logger, config.HoldFor = guest{}, new(mongo.Database), slog.New(slog.DiscardHandler), hold
	service, err := orders.New(config)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	api := huma.DefaultConfig("test", "1")
	api.CreateHooks = nil // as in a process: the links to schemas would leave the order out of the answer
	service.Register(humago.New(mux, api))
	return service, mux
}

// items is the entity of inventory, as far as these tests need it.
var items = log.Entity[events.Payload]{Prefix: events.PrefixItem, LastOnly: true,
	Apply: func(_ events.Payload, e events.Event) (events.Payload, error) { return e.Payload, nil }}

// listMug has inventory say that there is a mug to be had.
func listMug(t *testing.T, l *log.Log) { listItem(t, l, "MUG") }

func listItem(t *testing.T, l *log.Log, sku string) {
	t.Helper()
	listAt(t, l, sku, events.Money{Amount: 1250, Currency: "GBP"})
}

func listAt(t *testing.T, l *log.Log, sku string, price events.Money) {
	t.Helper()
	err := l.ForDomain("inventory").Do(t.Context(), func(tx *log.Tx) error {
		return items.Append(tx, sku, events.ItemChanged{SKU: sku, Title: "A mug", Price: price})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func post(door http.Handler, key, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/orders", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	door.ServeHTTP(w, r)
	return w
}

// placedOrders is how many events of orders there are: nobody decides anything here, so each is an order.
func placedOrders(t *testing.T, l *log.Log) uint64 {
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

// Row 3 of the fault matrix: a double click, 50 times over and at two processes: one order, and the same answer for all.
func TestFiftyPostsWithOneKeyAreOneOrder(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, first := openDoor(t, server)
	_, second := openDoor(t, server)
	listMug(t, l)
	answers := make([]*httptest.ResponseRecorder, 50)
	var clicking sync.WaitGroup
	for i := range answers {
		clicking.Go(func() { answers[i] = post([]http.Handler{first, second}[i%2], "click", checkout("ada@example.com", 1)) })
	}
	clicking.Wait()
	fresh := 0
	for i, a := range answers {
		if a.Code != http.StatusCreated || a.Body.String() != answers[0].Body.String() {
			t.Errorf("answer %d is %d: %s\nthe first one %s", i, a.Code, a.Body, answers[0].Body)
		}
		if a.Header().Get("Idempotent-Replayed") == "" {
			fresh++
		}
	}
	if n := placedOrders(t, l); n != 1 || fresh != 1 {
		t.Errorf("%d orders in the log, %d answers say that theirs is new; want one", n, fresh)
	}
}

// Row 4 of the fault matrix: the same key with another body is refused, for another customer it is another order.
func TestAKeyBelongsToOneCustomerAndOneBody(t *testing.T) {
	t.Parallel()
	l, door := openDoor(t, logtest.Server(t))
	listMug(t, l)
	if a := post(door, "key", checkout("ada@example.com", 1)); a.Code != http.StatusCreated {
		t.Fatalf("%d: %s", a.Code, a.Body)
	}
	if a := post(door, "key", checkout("ada@example.com", 2)); a.Code != http.StatusUnprocessableEntity {
		t.Errorf("another body: %d: %s", a.Code, a.Body)
	}
	if a := post(door, "key", checkout("eve@example.com", 1)); a.Code != http.StatusCreated || a.Header().Get("Idempotent-Replayed") != "" {
		t.Errorf("another customer: %d: %s", a.Code, a.Body)
	}
	if n := placedOrders(t, l); n != 2 {
		t.Errorf("%d orders in the log, want two", n)
	}
}

// A process that stops gives up what it has not answered in time. The shopper is still there, and is told when to try again.
func TestWhatIsGivenUpMayBeAskedAgain(t *testing.T) {
	t.Parallel()
	l, door := openDoor(t, logtest.Server(t))
	listMug(t, l)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	r := httptest.NewRequestWithContext(stopped, http.MethodPost, "/api/orders", strings.NewReader(checkout("ada@example.com", 1)))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	door.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d %v %s; want 503 and when to try again", w.Code, w.Header(), w.Body)
	}
}

// People outside the shop make item numbers: whatever may stand in one can be ordered.
func TestAnyItemNumberCanBeOrdered(t *testing.T) {
	t.Parallel()
	l, door := openDoor(t, logtest.Server(t))
	for _, sku := range []string{"a.>", "10/4 x", "Größe 40", "100%", "*"} {
		if a := post(door, sku, checkoutOf(sku, "ada@example.com", 1)); a.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s before it is listed: %d: %s", sku, a.Code, a.Body)
		}
		listItem(t, l, sku)
		if a := post(door, sku, checkoutOf(sku, "ada@example.com", 1)); a.Code != http.StatusCreated {
			t.Errorf("%s: %d: %s", sku, a.Code, a.Body)
		}
	}
}
