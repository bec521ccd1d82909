package coretest

import (
	"context"
	"time"

	"pgregory.net/rapid"

	"tillstream/events"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// decision is the new events of one entity.
type decision struct {
	subject string
	facts   []events.Payload
}

// posted is a webhook of Stripe: an intent at one time.
type posted struct{ payments.Intent }

// EventType implements [events.Payload].
func (posted) EventType() string { return "posted" }

// model is the shop in memory: the events of each domain and the state they fold into. The decisions are the real ones.
type model struct {
	t       *rapid.T
	now     time.Time
	stripe  *Stripe
	streams map[string][]events.Event // by domain; "posted": webhooks of Stripe
	lanes   []*lane
	cascade bool // decide what follows from an event at once, as a process with several domains does

	orders       map[string]orders.Order
	stocks       map[string]inventory.Stock
	reservations map[string]inventory.Reservation
	payments     map[string]payments.Payment
	mails        map[string]notifications.Notification
}

// lane handles the events of a domain from its position, which may be set back.
type lane struct {
	stream string
	next   int
	handle func(events.Event) []decision
	acts   bool // calls Stripe, so it cannot be part of a cascade
}

func newModel(t *rapid.T) *model {
	m := &model{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), stripe: newStripe(nil, false), streams: map[string][]events.Event{},
		orders: map[string]orders.Order{}, stocks: map[string]inventory.Stock{}, reservations: map[string]inventory.Reservation{},
		payments: map[string]payments.Payment{}, mails: map[string]notifications.Notification{}}
	m.lanes = []*lane{
		{"orders", 0, m.inventoryHandles, false}, {"inventory", 0, m.ordersHandleStock, false},
		{"payments", 0, m.ordersHandlePayments, false}, {"orders", 0, m.paymentsHandle, false},
		{"posted", 0, m.webhooksHandle, true}, {"posted", 0, m.checksReport, true}, {"payments", 0, m.stripeActs, true},
		{"orders", 0, m.captures, true}, {"orders", 0, m.notificationsHandle, false},
	}
	return m
}

// must ends the test if a decision refuses: events of the shop itself must never be refused.
func (m *model) must(facts []events.Payload, err error) []events.Payload {
	if err != nil {
		m.t.Fatal(err)
	}
	return facts
}

func about(prefix, id string, facts []events.Payload) []decision {
	return []decision{{prefix + id, facts}}
}

func (m *model) inventoryHandles(e events.Event) []decision {
	id := e.Subject[len(events.PrefixOrder):]
	r := m.reservations[id]
	action, err := inventory.Next(r, e.Payload)
	m.must(nil, err)
	wanted := r.Lines
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		wanted, err = inventory.Demand(p.Lines)
	case events.OrderPaidLate:
		wanted, err = inventory.Demand(p.Lines)
	}
	m.must(nil, err)
	levels := map[string]events.StockLevel{}
	for sku, s := range m.stocks {
		levels[sku] = s.Level
	}
	d, err := inventory.Decide(r, action, id, wanted, levels, inventory.HoldLimit{})
	m.must(nil, err)
	all := about(events.PrefixReservation, id, d.Reservation)
	for _, entry := range d.Stock {
		all = append(all, decision{events.PrefixStock + entry.SKU, []events.Payload{entry.Fact}})
	}
	return all
}

func (m *model) ordersHandleStock(e events.Event) []decision {
	switch p := e.Payload.(type) {
	case events.ReservationHeld:
		return about(events.PrefixOrder, p.OrderID, m.orders[p.OrderID].ReservationHeld(e.CausationID))
	case events.ReservationRefused:
		return about(events.PrefixOrder, p.OrderID, m.orders[p.OrderID].ReservationRefused(e.CausationID, p.Short))
	}
	return nil
}

func (m *model) ordersHandlePayments(e events.Event) []decision {
	id := m.payments[e.Subject[len(events.PrefixPayment):]].OrderID
	o := m.orders[id]
	switch p := e.Payload.(type) {
	case events.PaymentAuthorized:
		return about(events.PrefixOrder, id, o.PaymentAuthorized(p.Capture))
	case events.PaymentCaptured:
		return about(events.PrefixOrder, id, o.PaymentCaptured(p.Amount, p.More))
	case events.PaymentCancelled:
		return about(events.PrefixOrder, id, o.PaymentCancelled(p.Reason))
	case events.PaymentFailed:
		return about(events.PrefixOrder, id, o.PaymentFailed())
	case events.PaymentRefunded:
		return about(events.PrefixOrder, id, o.PaymentRefunded(p.RefundID, p.Amount))
	}
	return nil
}

func (m *model) paymentsHandle(e events.Event) []decision {
	id := events.FirstPaymentID(e.Subject[len(events.PrefixOrder):])
	p := m.payments[id]
	switch o := e.Payload.(type) {
	case events.OrderAwaitingPayment:
		return about(events.PrefixPayment, id, m.must(payments.Request(p, o, payments.Terms{})))
	case events.OrderExpired:
		return about(events.PrefixPayment, id, m.must(payments.Cancel(p, false, e.Type)))
	case events.OrderCancelled, events.OrderRejected:
		return about(events.PrefixPayment, id, m.must(payments.Cancel(p, true, e.Type)))
	}
	return nil
}

func (m *model) recordIntent(in payments.Intent) []decision {
	return about(events.PrefixPayment, in.PaymentID, m.must(payments.RecordIntent(m.payments[in.PaymentID], in, false)))
}

func (m *model) webhooksHandle(e events.Event) []decision {
	in := e.Payload.(posted).Intent
	return about(events.PrefixPayment, in.PaymentID, m.must(payments.RecordReport(m.payments[in.PaymentID], in, false)))
}

// checksReport retrieves an intent that a webhook reports as captured.
func (m *model) checksReport(e events.Event) []decision {
	in := e.Payload.(posted).Intent
	p := m.payments[in.PaymentID]
	if in.Status != payments.IntentSucceeded || p.PaymentIntent != in.ID || !p.Captured.IsZero() {
		return nil
	}
	now, err := m.stripe.RetrieveIntent(context.Background(), in.ID)
	m.must(nil, err)
	return m.recordIntent(now)
}

// stripeActs calls Stripe. The effect of a call remains when the process dies before it appends the result.
func (m *model) stripeActs(e events.Event) []decision {
	id := e.Subject[len(events.PrefixPayment):]
	p, ctx := m.payments[id], context.Background()
	switch fact := e.Payload.(type) {
	case events.PaymentRequested:
		if p.PaymentIntent != "" || p.Failure != nil {
			return nil
		}
		if _, made := m.stripe.Intent(p.OrderID); p.Cancelled && !made {
			return nil
		}
		in, err := m.stripe.CreateIntent(ctx, p)
		m.must(nil, err)
		return m.recordIntent(in)
	case events.PaymentCancelRequested:
		if !p.Captured.IsZero() || p.CancelledIntent || p.PaymentIntent == "" {
			return nil
		}
		in, err := m.stripe.RetrieveIntent(ctx, p.PaymentIntent)
		m.must(nil, err)
		if paid := in.Status == payments.IntentRequiresCapture && !p.CancelForce; !paid && in.Status != payments.IntentSucceeded {
			in, err = m.stripe.Cancel(ctx, p)
			m.must(nil, err)
		}
		return m.recordIntent(in)
	case events.PaymentRefundRequested:
		if known := p.Refunds[fact.RefundID]; known.Succeeded || known.Failed {
			return nil
		}
		r, err := m.stripe.Refund(ctx, p, fact.RefundID, fact.Amount)
		m.must(nil, err)
		return about(events.PrefixPayment, id, m.must(payments.RecordRefund(p, r)))
	}
	return nil
}

func (m *model) captures(e events.Event) []decision {
	accepted, ok := e.Payload.(events.OrderPaymentAccepted)
	if !ok {
		return nil
	}
	p := m.payments[accepted.PaymentID]
	wanted, err := payments.ShouldCapture(p, accepted.Amount)
	m.must(nil, err)
	if !wanted {
		return nil
	}
	in, err := m.stripe.Capture(context.Background(), p, p.Whole())
	m.must(nil, err)
	return m.recordIntent(in)
}

func (m *model) notificationsHandle(e events.Event) []decision {
	var o notifications.Outcome
	var end events.OrderOutcome
	switch p := e.Payload.(type) {
	case events.OrderConfirmed:
		o = notifications.Confirmed(p, e.Time)
	case events.OrderRejected:
		o, end = notifications.Rejected(p, e.Time), p.OrderOutcome
	case events.OrderExpired:
		o, end = notifications.Expired(p, e.Time), p.OrderOutcome
	case events.OrderCancelled:
		o, end = notifications.Cancelled(p, e.Actor, e.Time), p.OrderOutcome
	case events.OrderRefunded:
		o = notifications.Refunded(p, e.Time)
	default:
		return nil
	}
	if end.UnpaidGuest {
		return nil
	}
	id := o.Facts.OrderID
	return about(events.PrefixNotification, id, m.must(m.mails[id].Queue(o, e.ID, "shop.example")))
}
