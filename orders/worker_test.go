package orders_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
	"tillstream/orders"
)

// clock is a clock that tests can advance.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

// run runs a domain until the test ends.
func run(t *testing.T, l *eventlog.Log, domain worker.Domain) {
	t.Helper()
	w, err := worker.New(t.Context(), l, worker.Config{Domains: []worker.Domain{domain}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// waitUntilReady waits until a service has read what it keeps in memory.
func waitUntilReady(t *testing.T, service *orders.Service) {
	t.Helper()
	waitFor(t, "the service is ready", func() bool { return service.Ready() == nil })
}

// waitFor waits until a condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, ticker := time.After(30*time.Second), time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("timeout: %s", what)
		case <-ticker.C:
		}
	}
}

// await waits for the first event of a type and returns it.
func await[P events.Payload](t *testing.T, l *eventlog.Log) events.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var found events.Event
	errFound := errors.New("found")
	err := l.Follow(ctx, 1, func(m eventlog.Message) error {
		e, err := m.Event()
		if err != nil {
			return err
		}
		if _, ok := e.Payload.(P); !ok {
			return nil
		}
		found = e
		return errFound
	})
	if !errors.Is(err, errFound) {
		var wanted P
		t.Fatalf("wait for %s: %v", wanted.EventType(), err)
	}
	return found
}

// order has the fields of the API's order that these tests need.
type order struct {
	ID        string        `json:"id"`
	Status    orders.Status `json:"status"`
	Total     events.Money  `json:"total"`
	ExpiresAt time.Time     `json:"expires_at"`
}

// placeMug places an order for a mug.
func placeMug(t *testing.T, handler http.Handler) order {
	t.Helper()
	return placedOrder(t, post(handler, "one", checkout("ada@example.com", 1)))
}

// placedOrder returns the order of an answer, which must be 201.
func placedOrder(t *testing.T, a *httptest.ResponseRecorder) (o order) {
	t.Helper()
	if err := json.Unmarshal(a.Body.Bytes(), &o); err != nil || a.Code != http.StatusCreated {
		t.Fatalf("got %d %s (%v), want 201", a.Code, a.Body, err)
	}
	return o
}

// A timer may fire early, late and in two processes. The order expires once, and not before its deadline.
func TestAnOrderExpiresOnceAndNotBeforeItsDeadline(t *testing.T) {
	t.Parallel()
	c := &clock{}
	server := logtest.Server(t)
	useClock := func(config *eventlog.Config) { config.Now = c.now }
	l, other := logtest.OpenOn(t, server, useClock), logtest.OpenOn(t, server, useClock)
	listMug(t, l)
	service, handler := open(t, l)
	second, _ := open(t, other)
	o := placeMug(t, handler)
	fire := service.Worker().Timers[0].Fire
	if err := fire(t.Context(), o.ID); err != nil {
		t.Fatal(err)
	}
	if n := countOrderEvents(t, l); n != 1 {
		t.Errorf("after an early timer: got %d events, want 1", n)
	}
	c.advance(hold)
	var firing sync.WaitGroup
	for i := range 20 {
		firing.Go(func() {
			if err := []func(context.Context, string) error{fire, second.Worker().Timers[0].Fire}[i%2](t.Context(), o.ID); err != nil {
				t.Error(err)
			}
		})
	}
	firing.Wait()
	if n := countOrderEvents(t, l); n != 2 {
		t.Errorf("after twenty late timers: got %d events, want 2", n)
	}
}

func TestTheWorkerExpiresAnUnpaidOrder(t *testing.T) {
	t.Parallel()
	c := &clock{}
	l := logtest.Open(t, func(config *eventlog.Config) { config.Now = c.now })
	listMug(t, l)
	service, handler := open(t, l)
	run(t, l, service.Worker())
	o := placeMug(t, handler)
	c.advance(hold)
	expired := await[events.OrderExpired](t, l)
	if expired.Time.Before(o.ExpiresAt) || expired.CorrelationID != o.ID || expired.Source != "orders" {
		t.Errorf("got expiry at %s, correlation %q, source %q; want not before %s, %s, orders",
			expired.Time, expired.CorrelationID, expired.Source, o.ExpiresAt, o.ID)
	}
}

// A process is ready when it has read the price list, and then applies every change of an item.
func TestOrdersAreReadyWhenThePriceListIsRead(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	listMug(t, l)
	service, handler := open(t, l)
	if service.Ready() == nil {
		t.Error("Ready before the price list is read: got nil, want an error")
	}
	domain := service.Worker()
	handled := make(chan string, 2)
	prices := &domain.Watches[0]
	handle := prices.Handle
	prices.Handle = func(e events.Event) { handle(e); handled <- e.Payload.(events.ItemChanged).Title }
	run(t, l, domain)
	waitUntilReady(t, service)
	err := l.ForDomain("inventory").Do(t.Context(), func(tx *eventlog.Tx) error {
		return items.Append(tx, "MUG", events.ItemChanged{SKU: "MUG", Title: "A more expensive mug", Price: events.Money{Amount: 9900, Currency: "GBP"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	if first, then := <-handled, <-handled; first != "A mug" || then != "A more expensive mug" {
		t.Errorf("got %q, then %q; want the snapshot, then the change", first, then)
	}
	if o := placeMug(t, handler); o.Total.Amount != 9900 {
		t.Errorf("got total %s, want 99.00 GBP", o.Total)
	}
}

// A change of an order is sent to its event stream at once, and not with the next heartbeat.
func TestAnEventStreamSendsAChangeAtOnce(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	listMug(t, l)
	service, handler := open(t, l)
	run(t, l, service.Worker())
	shop := httptest.NewServer(handler)
	t.Cleanup(shop.Close)
	o := placeMug(t, handler)
	ctx, cancel := context.WithTimeout(t.Context(), 14*time.Second) // the heartbeat comes after 15
	defer cancel()
	send := func(method, path string) *http.Response {
		r, err := http.NewRequestWithContext(ctx, method, shop.URL+"/api/orders/"+o.ID+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer token-"+o.ID)
		response, err := http.DefaultClient.Do(r)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: got %v, %v; want 200", path, response, err)
		}
		return response
	}
	stream := send(http.MethodGet, "/events")
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	next := func() (sent order) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &sent); err != nil {
					t.Fatal(err)
				}
				return sent
			}
		}
		t.Fatalf("end of the stream: got %v, want another event", lines.Err())
		return sent
	}
	if got := next(); got.Status != orders.Placed {
		t.Errorf("first event: got status %s, want placed", got.Status)
	}
	if err := send(http.MethodPost, "/cancel").Body.Close(); err != nil {
		t.Fatal(err)
	}
	if got := next(); got.Status != orders.Cancelled {
		t.Errorf("second event: got status %s, want cancelled", got.Status)
	}
}
