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

// said is facts about one entity, to be stored with others or not at all.
type said struct {
	subject string
	facts   []events.Payload
}

// posted is what the bank's webhook shows: an intent as it was.
type posted struct{ payments.Intent }

// EventType implements [events.Payload].
func (posted) EventType() string { return "posted" }

// paper is the shop on paper: the events of each domain, and what they fold into. Decisions are the real ones, the rest is
// this.
type paper struct {
	t       *rapid.T
	now     time.Time
	bank    *Bank
	streams map[string][]events.Event // by domain; "posted": what the bank has posted
	readers []*reader
	// completes: what follows from a fact is decided at once, as in a process that runs several domains
	completes bool

	orders       map[string]orders.Order
	stocks       map[string]inventory.Stock
	reservations map[string]inventory.Reservation
	payments     map[string]payments.Payment
	mails        map[string]notifications.Notification
}

// reader is a lane: it hears the events of a domain from where it stands, and may be set back.
type reader struct {
	stream string
	next   int
	hear   func(events.Event) []said
	acts   bool // on the world, which no transaction can hold
}

func newPaper(t *rapid.T) *paper {
	w := &paper{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), bank: newBank(nil, false), streams: map[string][]events.Event{},
		orders: map[string]orders.Order{}, stocks: map[string]inventory.Stock{}, reservations: map[string]inventory.Reservation{},
		payments: map[string]payments.Payment{}, mails: map[string]notifications.Notification{}}
	w.readers = []*reader{
		{"orders", 0, w.inventoryHears, false}, {"inventory", 0, w.ordersHearStock, false},
		{"payments", 0, w.ordersHearMoney, false}, {"orders", 0, w.paymentsHear, false},
		{"posted", 0, w.webhooksHear, true}, {"payments", 0, w.stripeActs, true},
		{"orders", 0, w.captures, true}, {"orders", 0, w.notificationsHear, false},
	}
	return w
}

// must turns a refusal into the end of the run: with what the shop itself says, no decision may refuse.
func (w *paper) must(facts []events.Payload, err error) []events.Payload {
	if err != nil {
		w.t.Fatal(err)
	}
	return facts
}

func about(prefix, id string, facts []events.Payload) []said {
	return []said{{prefix + id, facts}}
}

func (w *paper) inventoryHears(e events.Event) []said {
	id := e.Subject[len(events.PrefixOrder):]
	r := w.reservations[id]
	action, err := inventory.Next(r, e.Payload)
	w.must(nil, err)
	wanted := r.Lines
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		wanted, err = inventory.Demand(p.Lines)
	case events.OrderPaidLate:
		wanted, err = inventory.Demand(p.Lines)
	}
	w.must(nil, err)
	levels := map[string]events.StockLevel{}
	for sku, s := range w.stocks {
		levels[sku] = s.Level
	}
	d, err := inventory.Decide(r, action, id, wanted, levels)
	w.must(nil, err)
	all := about(events.PrefixReservation, id, d.Reservation)
	for _, entry := range d.Stock {
		all = append(all, said{events.PrefixStock + entry.SKU, []events.Payload{entry.Fact}})
	}
	return all
}

func (w *paper) ordersHearStock(e events.Event) []said {
	switch p := e.Payload.(type) {
	case events.ReservationHeld:
		return about(events.PrefixOrder, p.OrderID, w.orders[p.OrderID].ReservationHeld(e.CausationID))
	case events.ReservationRefused:
		return about(events.PrefixOrder, p.OrderID, w.orders[p.OrderID].ReservationRefused(e.CausationID, p.Short))
	}
	return nil
}

func (w *paper) ordersHearMoney(e events.Event) []said {
	id := w.payments[e.Subject[len(events.PrefixPayment):]].OrderID
	o := w.orders[id]
	switch p := e.Payload.(type) {
	case events.PaymentAuthorized:
		return about(events.PrefixOrder, id, o.PaymentAuthorized())
	case events.PaymentCaptured:
		return about(events.PrefixOrder, id, o.PaymentCaptured())
	case events.PaymentCancelled:
		return about(events.PrefixOrder, id, o.PaymentCancelled())
	case events.PaymentFailed:
		return about(events.PrefixOrder, id, o.PaymentFailed())
	case events.PaymentRefunded:
		return about(events.PrefixOrder, id, o.PaymentRefunded(p.RefundID, p.Amount))
	}
	return nil
}

func (w *paper) paymentsHear(e events.Event) []said {
	id := events.FirstPaymentID(e.Subject[len(events.PrefixOrder):])
	p := w.payments[id]
	switch o := e.Payload.(type) {
	case events.OrderAwaitingPayment:
		return about(events.PrefixPayment, id, w.must(payments.Request(p, o)))
	case events.OrderExpired:
		return about(events.PrefixPayment, id, w.must(payments.Cancel(p, false, e.Type)))
	case events.OrderCancelled, events.OrderRejected:
		return about(events.PrefixPayment, id, w.must(payments.Cancel(p, true, e.Type)))
	}
	return nil
}

func (w *paper) heard(in payments.Intent) []said {
	return about(events.PrefixPayment, in.PaymentID, w.must(payments.RecordIntent(w.payments[in.PaymentID], in, false)))
}

func (w *paper) webhooksHear(e events.Event) []said { return w.heard(e.Payload.(posted).Intent) }

// stripeActs speaks to the bank. What the bank has done stays done when the process dies before it says so.
func (w *paper) stripeActs(e events.Event) []said {
	id := e.Subject[len(events.PrefixPayment):]
	p, ctx := w.payments[id], context.Background()
	switch fact := e.Payload.(type) {
	case events.PaymentRequested:
		if p.PaymentIntent != "" || p.Failure != nil {
			return nil
		}
		if _, made := w.bank.Intent(p.OrderID); p.Cancelled && !made {
			return nil
		}
		in, err := w.bank.CreateIntent(ctx, p)
		w.must(nil, err)
		return w.heard(in)
	case events.PaymentCancelRequested:
		if !p.Captured.IsZero() || p.CancelledIntent || p.PaymentIntent == "" {
			return nil
		}
		in, err := w.bank.RetrieveIntent(ctx, p.PaymentIntent)
		w.must(nil, err)
		if paid := in.Status == payments.IntentRequiresCapture && !p.CancelForce; !paid && in.Status != payments.IntentSucceeded {
			in, err = w.bank.Cancel(ctx, p)
			w.must(nil, err)
		}
		return w.heard(in)
	case events.PaymentRefundRequested:
		if known := p.Refunds[fact.RefundID]; known.Succeeded || known.Failed {
			return nil
		}
		r, err := w.bank.Refund(ctx, p, fact.RefundID, fact.Amount)
		w.must(nil, err)
		return about(events.PrefixPayment, id, w.must(payments.RecordRefund(p, r)))
	}
	return nil
}

func (w *paper) captures(e events.Event) []said {
	accepted, ok := e.Payload.(events.OrderPaymentAccepted)
	if !ok {
		return nil
	}
	p := w.payments[accepted.PaymentID]
	wanted, err := payments.ShouldCapture(p, accepted.Amount)
	w.must(nil, err)
	if !wanted {
		return nil
	}
	in, err := w.bank.Capture(context.Background(), p)
	w.must(nil, err)
	return w.heard(in)
}

func (w *paper) notificationsHear(e events.Event) []said {
	var o notifications.Outcome
	switch p := e.Payload.(type) {
	case events.OrderConfirmed:
		o = notifications.Confirmed(p, e.Time)
	case events.OrderRejected:
		o = notifications.Rejected(p, e.Time)
	case events.OrderExpired:
		o = notifications.Expired(p, e.Time)
	case events.OrderCancelled:
		o = notifications.Cancelled(p, e.Actor, e.Time)
	case events.OrderRefunded:
		o = notifications.Refunded(p, e.Time)
	default:
		return nil
	}
	id := o.Facts.OrderID
	return about(events.PrefixNotification, id, w.must(w.mails[id].Queue(o, e.ID, "shop.example")))
}
