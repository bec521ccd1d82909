package coretest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tillstream/events"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// store appends decisions and folds them into their entities. With cascade it also decides at once what follows from them in
// each domain; lanes still read the events later, as after a crash.
func (m *model) store(cause events.Event, all []decision) {
	var stored []events.Event
	for _, s := range all {
		for _, fact := range s.facts {
			stream := streamOf(s.subject)
			e := events.Event{ID: fmt.Sprintf("%s-%d", stream, len(m.streams[stream])), Type: fact.EventType(), Time: m.now, Subject: s.subject,
				Payload: fact, CausationID: cause.ID, Sequence: uint64(len(m.streams[stream]) + 1)}
			if err := m.fold(e); err != nil {
				m.t.Fatalf("fold %s, which follows from %s: %v", e.Type, cause.Type, err)
			}
			m.streams[stream] = append(m.streams[stream], e)
			stored = append(stored, e)
		}
	}
	for _, e := range stored {
		for _, l := range m.lanes {
			if m.cascade && !l.acts && l.stream == streamOf(e.Subject) {
				m.store(e, l.handle(e))
			}
		}
	}
}

func streamOf(subject string) string {
	domain, _, _ := strings.Cut(subject, ".")
	return domain
}

func (m *model) fold(e events.Event) (err error) {
	id := e.Subject[strings.LastIndex(e.Subject, ".")+1:]
	switch {
	case strings.HasPrefix(e.Subject, events.PrefixOrder):
		m.orders[id], err = m.orders[id].Apply(e)
	case strings.HasPrefix(e.Subject, events.PrefixStock):
		m.stocks[id], err = inventory.ApplyStock(m.stocks[id], e)
	case strings.HasPrefix(e.Subject, events.PrefixReservation):
		m.reservations[id], err = inventory.ApplyReservation(m.reservations[id], e)
	case strings.HasPrefix(e.Subject, events.PrefixPayment):
		m.payments[id], err = m.payments[id].Apply(e)
	case strings.HasPrefix(e.Subject, events.PrefixNotification):
		m.mails[id], err = notifications.Apply(m.mails[id], e)
	}
	return err
}

// deliver lets a lane handle its next event. The process may die before it stores the result, or before it stores the checkpoint.
func (m *model) deliver(l *lane, dies string) {
	stream := m.streams[l.stream]
	if l.next == len(stream) {
		return
	}
	all := l.handle(stream[l.next])
	if dies == beforeStore {
		return
	}
	m.store(stream[l.next], all)
	if dies != beforeCheckpoint {
		l.next++
	}
}

// drain delivers until every lane is at the end.
func (m *model) drain() {
	for busy := true; busy; {
		busy = false
		for _, l := range m.lanes {
			for l.next < len(m.streams[l.stream]) {
				busy = true
				m.deliver(l, "")
			}
		}
	}
}

// When a process dies while it handles an event.
const (
	beforeStore      = "before storing"
	beforeCheckpoint = "before the checkpoint"
)

var (
	anOrder = rapid.SampledFrom([]string{"o1", "o2", "o3", "o4"})
	anItem  = rapid.SampledFrom([]string{"A", "B"})
)

func (m *model) place(t *rapid.T) {
	id, lines := anOrder.Draw(t, "order"), []events.ReservedLine{Line("A", 1), Line("B", 2)}
	lines = lines[rapid.IntRange(0, 1).Draw(t, "from"):]
	placed, err := orders.Price(id, orders.Placement{Customer: customer(id), ShipTo: home, Lines: lines}, "same", price, orders.Terms{HoldFor: 30 * time.Minute}, m.now)
	m.must(nil, err)
	m.store(events.Event{}, about(events.PrefixOrder, id, m.must(m.orders[id].Place(placed))))
}

func (m *model) receive(t *rapid.T) {
	sku, n := anItem.Draw(t, "item"), rapid.Int64Range(1, 3).Draw(t, "units")
	m.store(events.Event{}, about(events.PrefixStock, sku, m.must(inventory.AdjustBy(sku, m.stocks[sku].Level, n, "received"))))
}

// pay pays an order if it has an intent. Stripe posts the webhook never, once or twice.
func (m *model) pay(t *rapid.T) {
	in, err := m.stripe.Authorize(anOrder.Draw(t, "order"))
	if err != nil {
		t.Skip("no intent")
	}
	for range rapid.IntRange(0, 2).Draw(t, "posts") {
		m.post(in)
	}
}

func (m *model) post(in payments.Intent) {
	m.streams["posted"] = append(m.streams["posted"], events.Event{ID: fmt.Sprintf("evt-%d", len(m.streams["posted"])), Type: "posted", Payload: posted{in}})
}

func (m *model) cancel(t *rapid.T) {
	id := anOrder.Draw(t, "order")
	facts, err := m.orders[id].Cancel(false)
	if errors.Is(err, orders.ErrNotCancellable) {
		t.Skip("not cancellable")
	}
	m.store(events.Event{}, about(events.PrefixOrder, id, m.must(facts, err)))
}

// expire fires a timer, early or late.
func (m *model) expire(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
	m.due(anOrder.Draw(t, "order"))
}

func (m *model) due(id string) {
	m.store(events.Event{}, about(events.PrefixOrder, id, m.orders[id].Expire(m.now)))
}

// Row 22 of the fault matrix, for random histories: shoppers, timers and Stripe act in any order, and every lane may be behind,
// be set back, or die before it stores its result or its checkpoint. When all events are handled, orders, stock, payments and
// mail agree, both with separate processes and with one process that decides cascades.
func TestShopAgreesWithModel(t *testing.T) {
	t.Parallel()
	for n := range 20 { // 100 histories each; more with -rapid.checks
		t.Run(fmt.Sprint(n), rapid.MakeCheck(shopAgrees))
	}
}

func shopAgrees(t *rapid.T) {
	m := newModel(t)
	m.cascade = rapid.Bool().Draw(t, "one process")
	anyLane := rapid.Custom(func(t *rapid.T) *lane { return m.lanes[rapid.IntRange(0, len(m.lanes)-1).Draw(t, "lane")] })
	deaths := rapid.SampledFrom([]string{"", "", "", beforeStore, beforeCheckpoint})
	t.Repeat(map[string]func(*rapid.T){
		"place": m.place, "receive": m.receive, "pay": m.pay, "cancel": m.cancel, "expire": m.expire,
		"deliver": func(t *rapid.T) {
			l := anyLane.Draw(t, "to")
			for range rapid.IntRange(1, 4).Draw(t, "events") {
				m.deliver(l, deaths.Draw(t, "dies"))
			}
		},
		"deliver to all": func(*rapid.T) { m.drain() },
		"deliver again": func(t *rapid.T) {
			l := anyLane.Draw(t, "to")
			l.next = rapid.IntRange(0, l.next).Draw(t, "from")
		},
		"": m.checkAlways,
	})
	m.finish()
	m.checkAlways(t)
	for _, id := range slices.Sorted(maps.Keys(m.orders)) {
		m.checkFinal(t, id)
	}
	m.checkRedelivery()
}

// finish makes every order final: the reconciler finds what Stripe has not posted, and deadlines pass.
func (m *model) finish() {
	for range 2 {
		m.drain()
		for _, id := range slices.Sorted(maps.Keys(m.orders)) {
			if in, known := m.stripe.Intent(id); known {
				m.post(in)
			}
		}
		m.drain()
		m.now = m.now.Add(time.Hour)
		for _, id := range slices.Sorted(maps.Keys(m.orders)) {
			m.due(id)
		}
	}
	m.drain()
}
