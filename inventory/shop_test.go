package inventory_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
	"tillstream/inventory"
)

const staffToken = "ops-token"

type staffAccess struct{}

func (staffAccess) Staff(authorization string) (api.Principal, bool) {
	return api.Principal{Actor: "staff:mira", Permissions: api.Admin.Permissions()}, authorization == "Bearer "+staffToken
}

// shop is one inventory process with its own connection.
type shop struct {
	log     *eventlog.Log // may append as any domain
	service *inventory.Service
	worker  *worker.Worker
	http    http.Handler
}

func open(t testing.TB) *shop {
	t.Helper()
	return openOn(t, logtest.Server(t))
}

// openOn starts an inventory process on a server and waits until it is ready. Several on one server are replicas, one of which
// has the lease.
func openOn(t testing.TB, server *embedded.NATS, change ...func(*eventlog.Config)) *shop {
	t.Helper()
	l := logtest.OpenOn(t, server, change...)
	service, err := inventory.New(inventory.Config{Log: l.ForDomain("inventory"), Access: staffAccess{}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	service.Register(humago.New(mux, huma.DefaultConfig("test", "1")))
	w, err := worker.New(t.Context(), l, worker.Config{Domains: []worker.Domain{service.Worker()}})
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{log: l, service: service, worker: w, http: mux}
	s.run(t, w.Run)
	s.wait(t, "inventory is ready", s.ready)
	return s
}

// ready reports whether the catalogue is loaded and the log is read.
func (s *shop) ready() bool { return s.service.Ready() == nil && s.worker.Ready() == nil }

// run runs a loop until the test ends.
func (s *shop) run(t testing.TB, loop func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := loop(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// wait waits until a condition holds.
func (s *shop) wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("after 20 s: want %s", what)
		case <-tick.C:
		}
	}
}

// stock lists an item with a count.
func (s *shop) stock(t testing.TB, sku string, onHand int64) {
	t.Helper()
	puts, err := s.service.PutItems(t.Context(), []inventory.Listing{{SKU: sku, Title: "Item " + sku,
		Price: events.Money{Amount: 100, Currency: "GBP"}, OnHand: &onHand}}, events.Author{Actor: "staff:me"})
	if err == nil {
		err = puts[0].Err
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *shop) level(t testing.TB, sku string) events.StockLevel {
	t.Helper()
	stock, _, err := inventory.Stocks.Read(t.Context(), s.log, sku)
	if err != nil {
		t.Fatal(err)
	}
	return stock.Level
}

func (s *shop) reservation(t testing.TB, orderID string) inventory.Reservation {
	t.Helper()
	r, _, err := inventory.Reservations.Read(t.Context(), s.log, orderID)
	if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
		t.Fatal(err)
	}
	return r
}

func (s *shop) awaitState(t testing.TB, orderID string, state inventory.State) {
	t.Helper()
	s.wait(t, orderID+" is "+string(state), func() bool { return s.reservation(t, orderID).State == state })
}

// orders stands in for the entity of the orders domain.
var orders = eventlog.Entity[int]{Prefix: events.PrefixOrder, Apply: func(n int, _ events.Event) (int, error) { return n + 1, nil }}

// appendOrder appends events of an order.
func (s *shop) appendOrder(t testing.TB, orderID string, facts ...events.Payload) {
	t.Helper()
	if err := s.log.Do(context.Background(), func(tx *eventlog.Tx) error { return orders.Append(tx, orderID, facts...) }); err != nil {
		t.Fatal(err)
	}
}

func lines(quantity int64, skus ...string) []events.OrderLine {
	all := make([]events.OrderLine, len(skus))
	for i, sku := range skus {
		all[i] = events.OrderLine{SKU: sku, Quantity: quantity}
	}
	return all
}

func outcome(orderID string) events.OrderOutcome { return events.OrderOutcome{OrderID: orderID} }

func (s *shop) request(t testing.TB, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := newRequest(method, path, body)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.http.ServeHTTP(w, r)
	return w
}
