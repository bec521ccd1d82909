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

// history is an entity whose state is the types of its events.
func history(prefix string) eventlog.Entity[[]string] {
	return eventlog.Entity[[]string]{Prefix: prefix, Apply: func(said []string, e events.Event) ([]string, error) {
		return append(slices.Clip(said), e.Type), nil
	}}
}

var (
	orders   = history(events.PrefixOrder)
	marks    = history(events.PrefixReservation) // takes note of an order once
	stock    = history(events.PrefixStock)
	payments = history(events.PrefixPayment)
)

// once says something about an entity unless that was said before.
func once(tx *eventlog.Tx, entity eventlog.Entity[[]string], id string, fact events.Payload) error {
	said, err := entity.Load(tx, id)
	if err != nil || slices.Contains(said, fact.EventType()) {
		return err
	}
	return entity.Append(tx, id, fact)
}

// first is once for an entity that should be new: it spares a question to the broker.
func first(tx *eventlog.Tx, entity eventlog.Entity[[]string], id string, fact events.Payload) error {
	said, err := entity.LoadNew(tx, id)
	if err != nil || slices.Contains(said, fact.EventType()) {
		return err
	}
	return entity.Append(tx, id, fact)
}

func markOnce(tx *eventlog.Tx, id string) error {
	return once(tx, marks, id, events.ReservationReleased{OrderID: id})
}

// onPlaced is inventory with one route, for orders that were placed.
func onPlaced(l *eventlog.Log, handle func(tx *eventlog.Tx, id string) error) worker.Domain {
	return worker.Domain{Name: "inventory", Log: l.ForDomain("inventory"), Routes: []worker.Route{
		worker.On(func(tx *eventlog.Tx, _ events.Event, p events.OrderPlaced) error { return handle(tx, p.OrderID) }),
	}}
}

// marker marks every order that was placed, except those whose name says otherwise.
func marker(l *eventlog.Log) worker.Domain {
	return onPlaced(l, func(tx *eventlog.Tx, id string) error {
		switch {
		case strings.HasPrefix(id, "panic"):
			var nothing map[string]int
			nothing["x"] = 1 //nolint:govet,staticcheck // the panic is the point
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

// acting is an actor that does do about every order.
func acting(concurrency int, do func(ctx context.Context, id string) error) worker.Domain {
	return worker.Domain{Actors: []worker.Actor{{Name: "actor", Concurrency: concurrency,
		Routes: []worker.ActRoute{worker.Do(func(ctx context.Context, _ events.Event, p events.OrderPlaced) error { return do(ctx, p.OrderID) })}}}}
}

// idle is an act that does nothing.
func idle(context.Context, string) error { return nil }

// shop is three domains that lead an order from its placing to its end, each by what the others say. It counts what its
// handlers are called with.
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

// says is a route: what one domain says when it hears of P.
func says[P events.Payload](s *shop, lane string, say func(tx *eventlog.Tx, id string) error) worker.Route {
	return worker.On(func(tx *eventlog.Tx, e events.Event, _ P) error {
		id, ok := idOf(e)
		if !ok {
			return errors.New("about nothing")
		}
		return errors.Join(say(tx, id), s.called(lane, e))
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
		says[events.OrderPlaced](s, "inventory", func(tx *eventlog.Tx, id string) error {
			return errors.Join(once(tx, stock, id, events.StockHeld{}), once(tx, marks, id, events.ReservationHeld{OrderID: id}))
		}),
		says[events.OrderConfirmed](s, "inventory", func(tx *eventlog.Tx, id string) error {
			return errors.Join(once(tx, stock, id, events.StockCommitted{}), once(tx, marks, id, events.ReservationCommitted{OrderID: id}))
		}),
	}}
}

func (s *shop) orders(l *eventlog.Log) worker.Domain {
	return worker.Domain{Name: "orders", Log: l.ForDomain("orders"), Routes: []worker.Route{
		says[events.ReservationHeld](s, "orders", func(tx *eventlog.Tx, id string) error {
			return once(tx, orders, id, events.OrderAwaitingPayment{OrderID: id})
		}),
		says[events.PaymentAuthorized](s, "orders", func(tx *eventlog.Tx, id string) error {
			return once(tx, orders, id, events.OrderPaymentAccepted{OrderID: id})
		}),
		says[events.PaymentCaptured](s, "orders", func(tx *eventlog.Tx, id string) error { return once(tx, orders, id, events.OrderConfirmed{}) }),
	}}
}

func (s *shop) payments(l *eventlog.Log) worker.Domain {
	return worker.Domain{Name: "payments", Log: l.ForDomain("payments"), Routes: []worker.Route{
		says[events.OrderAwaitingPayment](s, "payments", func(tx *eventlog.Tx, id string) error {
			return once(tx, payments, id, events.PaymentRequested{OrderID: id})
		}),
		says[events.PaymentRequested](s, "payments", func(tx *eventlog.Tx, id string) error {
			return once(tx, payments, id, events.PaymentAuthorized{OrderID: id})
		}),
		says[events.OrderPaymentAccepted](s, "payments", func(tx *eventlog.Tx, id string) error {
			return once(tx, payments, id, events.PaymentCaptured{OrderID: id})
		}),
	}}
}

func (s *shop) all(l *eventlog.Log) worker.Config {
	return only(s.inventory(l), s.orders(l), s.payments(l))
}

var lanes = []string{"inventory", "orders", "payments"}

// chain is what follows from one order, in order.
var chain = []string{"inventory.stock_held", "inventory.reservation_held", "orders.awaiting_payment", "payments.requested", "payments.authorized",
	"orders.payment_accepted", "payments.captured", "orders.confirmed", "inventory.stock_committed", "inventory.reservation_committed"}

// histories is the state of the shop: what each entity has said.
func histories(t testing.TB, l *eventlog.Log) map[string][]string {
	t.Helper()
	said := map[string][]string{}
	for _, e := range read(t, l, "") {
		said[e.Subject] = append(said[e.Subject], e.Source+" "+e.Type)
	}
	return said
}

// ids is what a test has heard, in order.
type ids struct {
	mu    sync.Mutex
	heard []string
}

func (i *ids) add(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.heard = append(i.heard, id)
}

func (i *ids) all() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.heard)
}

func (i *ids) count(id string) (n int) {
	for _, heard := range i.all() {
		if heard == id {
			n++
		}
	}
	return n
}

// clock is a clock that stands still until it is moved.
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

// by has a log go by a clock.
func (c *clock) by(config *eventlog.Config) { config.Now = c.Now }
