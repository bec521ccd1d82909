package worker_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// history returns an entity kind whose state is the types of its events.
func history(prefix string) eventlog.Entity[[]string] {
	return eventlog.Entity[[]string]{Prefix: prefix, Apply: func(stored []string, e events.Event) ([]string, error) {
		return append(slices.Clip(stored), e.Type), nil
	}}
}

var (
	orders   = history(events.PrefixOrder)
	marks    = history(events.PrefixReservation) // of an order: that inventory has handled it
	stock    = history(events.PrefixStock)
	payments = history(events.PrefixPayment)
)

// once appends a fact to an entity unless the entity has one of its type.
func once(tx *eventlog.Tx, entity eventlog.Entity[[]string], id string, fact events.Payload) error {
	stored, err := entity.Load(tx, id)
	if err != nil || slices.Contains(stored, fact.EventType()) {
		return err
	}
	return entity.Append(tx, id, fact)
}

// onceNew is once for an entity that should be new, which saves a request to the broker.
func onceNew(tx *eventlog.Tx, entity eventlog.Entity[[]string], id string, fact events.Payload) error {
	stored, err := entity.LoadNew(tx, id)
	if err != nil || slices.Contains(stored, fact.EventType()) {
		return err
	}
	return entity.Append(tx, id, fact)
}

func markOnce(tx *eventlog.Tx, id string) error {
	return once(tx, marks, id, events.ReservationReleased{OrderID: id})
}

// onPlaced is the domain inventory with one route, for placed orders.
func onPlaced(l *eventlog.Log, handle func(tx *eventlog.Tx, id string) error) worker.Domain {
	return worker.Domain{Name: "inventory", Log: l.ForDomain("inventory"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error { return handle(tx, p.OrderID) }),
	}}
}

// marker marks every placed order once, and fails as the prefix of the order's id asks.
func marker(l *eventlog.Log) worker.Domain {
	return onPlaced(l, func(tx *eventlog.Tx, id string) error {
		switch {
		case strings.HasPrefix(id, "panic"):
			var nothing map[string]int
			nothing["x"] = 1 //nolint:govet,staticcheck // this test needs a panic
		case strings.HasPrefix(id, "refuse"):
			return errors.New("impossible state")
		case strings.HasPrefix(id, "big"):
			for i := range 600 {
				if err := marks.Append(tx, fmt.Sprintf("%s-%d", id, i), events.ReservationReleased{}); err != nil {
					return err
				}
			}
			return nil
		}
		return markOnce(tx, id)
	})
}

// acting is a domain whose actor calls do for every placed order.
func acting(concurrency int, do func(ctx context.Context, id string) error) worker.Domain {
	return worker.Domain{Actors: []worker.Actor{{Name: "actor", Concurrency: concurrency,
		Routes: []worker.ActRoute{worker.Do(func(ctx context.Context, _ events.Event, p events.OrderPlaced) error { return do(ctx, p.OrderID) })}}}}
}

// idle is an act without effect.
func idle(context.Context, string) error { return nil }

// shop has three domains that take an order from placed to committed, each by the events of the others. It counts the calls of
// its handlers.
type shop struct {
	mu    sync.Mutex
	calls map[string]int // "lane type" → calls
	fail  func(lane string, e events.Event) error
}

func newShop() *shop { return &shop{calls: map[string]int{}} }

func (s *shop) called(lane string, e events.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[lane+" "+e.Type]++
	if s.fail != nil {
		return s.fail(lane, e)
	}
	return nil
}

func (s *shop) counted() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// answers returns a route by which a lane answers events with payload P.
func answers[P events.Payload](s *shop, lane string, answer func(tx *eventlog.Tx, id string) error) worker.Route {
	return worker.On(func(tx *eventlog.Tx, e events.Event, _ P) error {
		id, ok := idOf(e)
		if !ok {
			return errors.New("the event names no order")
		}
		return errors.Join(answer(tx, id), s.called(lane, e))
	})
}

func idOf(e events.Event) (id string, ok bool) {
	for _, prefix := range []string{events.PrefixOrder, events.PrefixReservation, events.PrefixPayment} {
		if id, ok = events.ParseSubject(prefix, e.Subject); ok {
			return id, true
		}
	}
	return "", false
}

func (s *shop) inventory(l *eventlog.Log) worker.Domain {
	return worker.Domain{Name: "inventory", Log: l.ForDomain("inventory"), Routes: []worker.Route{
		answers[events.OrderPlaced](s, "inventory", func(tx *eventlog.Tx, id string) error {
			return errors.Join(once(tx, stock, id, events.StockHeld{}), once(tx, marks, id, events.ReservationHeld{OrderID: id}))
		}),
		answers[events.OrderConfirmed](s, "inventory", func(tx *eventlog.Tx, id string) error {
			return errors.Join(once(tx, stock, id, events.StockCommitted{}), once(tx, marks, id, events.ReservationCommitted{OrderID: id}))
		}),
	}}
}

func (s *shop) orders(l *eventlog.Log) worker.Domain {
	return worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		answers[events.ReservationHeld](s, "orders", func(tx *eventlog.Tx, id string) error {
			return once(tx, orders, id, events.OrderAwaitingPayment{OrderID: id})
		}),
		answers[events.PaymentAuthorized](s, "orders", func(tx *eventlog.Tx, id string) error {
			return once(tx, orders, id, events.OrderPaymentAccepted{OrderID: id})
		}),
		answers[events.PaymentCaptured](s, "orders", func(tx *eventlog.Tx, id string) error { return once(tx, orders, id, events.OrderConfirmed{}) }),
	}}
}

func (s *shop) payments(l *eventlog.Log) worker.Domain {
	return worker.Domain{Name: "payments", Log: l.ForDomain("payments"), Routes: []worker.Route{
		answers[events.OrderAwaitingPayment](s, "payments", func(tx *eventlog.Tx, id string) error {
			return once(tx, payments, id, events.PaymentRequested{OrderID: id})
		}),
		answers[events.PaymentRequested](s, "payments", func(tx *eventlog.Tx, id string) error {
			return once(tx, payments, id, events.PaymentAuthorized{OrderID: id})
		}),
		answers[events.OrderPaymentAccepted](s, "payments", func(tx *eventlog.Tx, id string) error {
			return once(tx, payments, id, events.PaymentCaptured{OrderID: id})
		}),
	}}
}

func (s *shop) all(l *eventlog.Log) worker.Config {
	return configOf(s.inventory(l), s.orders(l), s.payments(l))
}

var lanes = []string{"inventory", "orders", "payments"}

// chain is the cascade of one placed order, in order.
var chain = []string{"inventory.stock_held", "inventory.reservation_held", "orders.awaiting_payment", "payments.requested", "payments.authorized",
	"orders.payment_accepted", "payments.captured", "orders.confirmed", "inventory.stock_committed", "inventory.reservation_committed"}

// histories returns the types of the events of every entity.
func histories(t testing.TB, l *eventlog.Log) map[string][]string {
	t.Helper()
	stored := map[string][]string{}
	for _, e := range readEvents(t, l, "") {
		stored[e.Subject] = append(stored[e.Subject], e.Source+" "+e.Type)
	}
	return stored
}

// ids records the ids that a handler was called with, in order.
type ids struct {
	mu      sync.Mutex
	handled []string
}

func (i *ids) add(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handled = append(i.handled, id)
}

func (i *ids) all() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.handled)
}

func (i *ids) count(id string) (n int) {
	for _, handled := range i.all() {
		if handled == id {
			n++
		}
	}
	return n
}

// clock stands still until a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// set makes the clock the time of a log.
func (c *clock) set(config *eventlog.Config) { config.Now = c.Now }
