package worker_test

import (
	"errors"
	"maps"
	"sync"
	"testing"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

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
