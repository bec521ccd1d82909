package coretest

import (
	"slices"

	"pgregory.net/rapid"

	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// checkAlways checks what holds at every time: stock adds up, nothing is oversold, and captures do not exceed the amount.
func (m *model) checkAlways(t *rapid.T) {
	held := map[string]int64{}
	for _, r := range m.reservations {
		for _, l := range r.Lines {
			if r.State == inventory.StateHeld {
				held[l.SKU] += l.Quantity
			}
		}
	}
	for sku, s := range m.stocks {
		if l := s.Level; l.OnHand != l.Available+l.Held || l.Available < 0 || l.Held != held[sku] {
			t.Fatalf("stock of %s: got %+v, want %d held, as reserved", sku, l, held[sku])
		}
	}
	for id, p := range m.payments {
		if p.Captured.Amount > p.Amount.Amount {
			t.Fatalf("payment %s: captured %s of %s", id, p.Captured, p.Amount)
		}
	}
}

// refunded returns the sum of the refunds of an order.
func (m *model) refunded(id string) (sum int64) {
	for _, r := range m.stripe.refunds {
		if r.Charge == "ch_"+id {
			sum += r.Amount.Amount
		}
	}
	return sum
}

// checkFinal is the sequential model: an order is confirmed, and stock, payment and mail agree; or it is not, and no stock or
// money remains.
func (m *model) checkFinal(t *rapid.T, id string) {
	o, r := m.orders[id], m.reservations[id]
	in, _ := m.stripe.Intent(id)
	returned := m.refunded(id)
	mails := map[string]int{}
	for _, message := range m.mails[id].Messages {
		mails[message.Template]++
	}
	sold := o.Status == orders.Confirmed
	if sold != (r.State == inventory.StateCommitted) || sold != (in.Received-returned > 0) || sold != (mails[notifications.TemplateConfirmed] == 1) {
		t.Fatalf("order %s: got status %s, reservation %s, %d captured, %d refunded and mails %v, which disagree", id, o.Status, r.State, in.Received, returned, mails)
	}
	over := []orders.Status{orders.Confirmed, orders.Rejected, orders.Expired, orders.Cancelled}
	if !slices.Contains(over, o.Status) || r.State == inventory.StateHeld || in.Status == payments.IntentRequiresCapture {
		t.Fatalf("order %s: got status %s, reservation %s and intent %s, want final ones", id, o.Status, r.State, in.Status)
	}
	for template, n := range mails {
		if n > 1 && template != notifications.TemplateRefunded {
			t.Fatalf("order %s: got mail %s %d times, want once", id, template, n)
		}
	}
}

// checkRedelivery delivers all events again from the beginning and expects no new ones.
func (m *model) checkRedelivery() {
	before := map[string]int{}
	for stream, all := range m.streams {
		before[stream] = len(all)
	}
	for _, l := range m.lanes {
		l.next = 0
	}
	m.drain()
	for stream, all := range m.streams {
		for _, e := range all[before[stream]:] {
			m.t.Fatalf("redelivery: %s appended %s to %s, want nothing", stream, e.Type, e.Subject)
		}
	}
}
