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

// store folds facts into their entities and appends them, all of them. A shop that completes then decides at once what
// follows from them in each domain; the events are still read later, as after a crash.
func (w *paper) store(cause events.Event, all []said) {
	var stored []events.Event
	for _, s := range all {
		for _, fact := range s.facts {
			stream := streamOf(s.subject)
			e := events.Event{ID: fmt.Sprintf("%s-%d", stream, len(w.streams[stream])), Type: fact.EventType(), Time: w.now, Subject: s.subject,
				Payload: fact, CausationID: cause.ID, Sequence: uint64(len(w.streams[stream]) + 1)}
			if err := w.fold(e); err != nil {
				w.t.Fatalf("decided %s because of %s, and cannot fold it: %v", e.Type, cause.Type, err)
			}
			w.streams[stream] = append(w.streams[stream], e)
			stored = append(stored, e)
		}
	}
	for _, e := range stored {
		for _, r := range w.readers {
			if w.completes && !r.acts && r.stream == streamOf(e.Subject) {
				w.store(e, r.hear(e))
			}
		}
	}
}

func streamOf(subject string) string {
	domain, _, _ := strings.Cut(subject, ".")
	return domain
}

func (w *paper) fold(e events.Event) (err error) {
	id := e.Subject[strings.LastIndex(e.Subject, ".")+1:]
	switch {
	case strings.HasPrefix(e.Subject, events.PrefixOrder):
		w.orders[id], err = w.orders[id].Apply(e)
	case strings.HasPrefix(e.Subject, events.PrefixStock):
		w.stocks[id], err = inventory.ApplyStock(w.stocks[id], e)
	case strings.HasPrefix(e.Subject, events.PrefixReservation):
		w.reservations[id], err = inventory.ApplyReservation(w.reservations[id], e)
	case strings.HasPrefix(e.Subject, events.PrefixPayment):
		w.payments[id], err = w.payments[id].Apply(e)
	case strings.HasPrefix(e.Subject, events.PrefixNotification):
		w.mails[id], err = notifications.Apply(w.mails[id], e)
	}
	return err
}

// deliver hands a reader its next event. It may die before anything is stored, or before it says that it is done.
func (w *paper) deliver(r *reader, dies string) {
	stream := w.streams[r.stream]
	if r.next == len(stream) {
		return
	}
	all := r.hear(stream[r.next])
	if dies == "before storing" {
		return
	}
	w.store(stream[r.next], all)
	if dies != "before acknowledging" {
		r.next++
	}
}

// drain delivers until nobody has anything left to hear.
func (w *paper) drain() {
	for busy := true; busy; {
		busy = false
		for _, r := range w.readers {
			for r.next < len(w.streams[r.stream]) {
				busy = true
				w.deliver(r, "")
			}
		}
	}
}

var (
	anOrder = rapid.SampledFrom([]string{"o1", "o2", "o3", "o4"})
	anItem  = rapid.SampledFrom([]string{"A", "B"})
)

func (w *paper) place(t *rapid.T) {
	id, lines := anOrder.Draw(t, "order"), []events.ReservedLine{Line("A", 1), Line("B", 2)}
	lines = lines[rapid.IntRange(0, 1).Draw(t, "from"):]
	placed, err := orders.Price(id, orders.Placement{Customer: customer, ShipTo: home, Lines: lines}, "same", price, orders.Terms{HoldFor: 30 * time.Minute}, w.now)
	w.must(nil, err)
	w.store(events.Event{}, about(events.PrefixOrder, id, w.must(w.orders[id].Place(placed))))
}

func (w *paper) receive(t *rapid.T) {
	sku, n := anItem.Draw(t, "item"), rapid.Int64Range(1, 3).Draw(t, "units")
	w.store(events.Event{}, about(events.PrefixStock, sku, w.must(inventory.AdjustBy(sku, w.stocks[sku].Level, n, "received"))))
}

// pay has the shopper pay if there is an intent, and the bank post it, perhaps more than once.
func (w *paper) pay(t *rapid.T) {
	in, err := w.bank.Authorize(anOrder.Draw(t, "order"))
	if err != nil {
		t.Skip("there is no intent")
	}
	for range rapid.IntRange(0, 2).Draw(t, "posts") {
		w.post(in)
	}
}

func (w *paper) post(in payments.Intent) {
	w.streams["posted"] = append(w.streams["posted"], events.Event{ID: fmt.Sprintf("evt-%d", len(w.streams["posted"])), Type: "posted", Payload: posted{in}})
}

func (w *paper) cancel(t *rapid.T) {
	id := anOrder.Draw(t, "order")
	facts, err := w.orders[id].Cancel()
	if errors.Is(err, orders.ErrNotCancellable) {
		t.Skip("it cannot be cancelled")
	}
	w.store(events.Event{}, about(events.PrefixOrder, id, w.must(facts, err)))
}

// expire has a timer come, early or late: time passes, or not.
func (w *paper) expire(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "minutes")) * time.Minute)
	w.due(anOrder.Draw(t, "order"))
}

func (w *paper) due(id string) {
	w.store(events.Event{}, about(events.PrefixOrder, id, w.orders[id].Expire(w.now)))
}

// Row 22 of the fault matrix, and the model of the whole shop: shoppers, timers and the bank do what they like; every
// consumer is ahead or behind as it likes, is set back, dies before it has stored what it decided, or before it has said
// so. When all has been heard, orders, stock, money and mail agree with each other: where each domain is a process of its own,
// and where one process decides at once what follows.
func TestTheShopAgreesWithItsModel(t *testing.T) {
	t.Parallel()
	for n := range 20 { // 100 histories each; more with -rapid.checks
		t.Run(fmt.Sprint(n), rapid.MakeCheck(shopAgrees))
	}
}

func shopAgrees(t *rapid.T) {
	w := newPaper(t)
	w.completes = rapid.Bool().Draw(t, "one process")
	aReader := rapid.Custom(func(t *rapid.T) *reader { return w.readers[rapid.IntRange(0, len(w.readers)-1).Draw(t, "reader")] })
	deaths := rapid.SampledFrom([]string{"", "", "", "before storing", "before acknowledging"})
	t.Repeat(map[string]func(*rapid.T){
		"place": w.place, "receive": w.receive, "pay": w.pay, "cancel": w.cancel, "expire": w.expire,
		"deliver": func(t *rapid.T) {
			r := aReader.Draw(t, "to")
			for range rapid.IntRange(1, 4).Draw(t, "events") {
				w.deliver(r, deaths.Draw(t, "dies"))
			}
		},
		"deliver to all": func(*rapid.T) { w.drain() },
		"deliver again": func(t *rapid.T) {
			r := aReader.Draw(t, "to")
			r.next = rapid.IntRange(0, r.next).Draw(t, "from")
		},
		"": w.alwaysTrue,
	})
	w.finish()
	w.alwaysTrue(t)
	for _, id := range slices.Sorted(maps.Keys(w.orders)) {
		w.ended(t, id)
	}
	w.quiet()
}

// finish lets everything come to its end: what the bank has not posted is found by the reconciler, deadlines pass.
func (w *paper) finish() {
	for range 2 {
		w.drain()
		for _, id := range slices.Sorted(maps.Keys(w.orders)) {
			if in, known := w.bank.Intent(id); known {
				w.post(in)
			}
		}
		w.drain()
		w.now = w.now.Add(time.Hour)
		for _, id := range slices.Sorted(maps.Keys(w.orders)) {
			w.due(id)
		}
	}
	w.drain()
}

// alwaysTrue holds at every moment: stock adds up, nothing is oversold, no more is taken than was asked for.
func (w *paper) alwaysTrue(t *rapid.T) {
	held := map[string]int64{}
	for _, r := range w.reservations {
		for _, l := range r.Lines {
			if r.State == inventory.StateHeld {
				held[l.SKU] += l.Quantity
			}
		}
	}
	for sku, s := range w.stocks {
		if l := s.Level; l.OnHand != l.Available+l.Held || l.Available < 0 || l.Held != held[sku] {
			t.Fatalf("%s is %+v, reservations hold %d", sku, l, held[sku])
		}
	}
	for id, p := range w.payments {
		if p.Captured.Amount > p.Amount.Amount {
			t.Fatalf("%s: captured %s of %s", id, p.Captured, p.Amount)
		}
	}
}

// refunded is what the bank gave back of an order's money.
func (w *paper) refunded(id string) (sum int64) {
	for _, r := range w.bank.refunds {
		if r.Charge == "ch_"+id {
			sum += r.Amount.Amount
		}
	}
	return sum
}

// ended is the sequential model: an order was sold, and then goods, money and mail say so; or it was not, and nothing of
// it is left.
func (w *paper) ended(t *rapid.T, id string) {
	o, r := w.orders[id], w.reservations[id]
	in, _ := w.bank.Intent(id)
	returned := w.refunded(id)
	told := map[string]int{}
	for _, m := range w.mails[id].Messages {
		told[m.Template]++
	}
	sold := o.Status == orders.Confirmed
	if sold != (r.State == inventory.StateCommitted) || sold != (in.Received-returned > 0) || sold != (told[notifications.TemplateConfirmed] == 1) {
		t.Fatalf("order %s is %s, its goods %s, the bank took %d and gave back %d, mails %v", id, o.Status, r.State, in.Received, returned, told)
	}
	over := []orders.Status{orders.Confirmed, orders.Rejected, orders.Expired, orders.Cancelled}
	if !slices.Contains(over, o.Status) || r.State == inventory.StateHeld || in.Status == payments.IntentRequiresCapture {
		t.Fatalf("order %s does not end: %s, goods %s, intent %s", id, o.Status, r.State, in.Status)
	}
	for template, n := range told {
		if n > 1 && template != notifications.TemplateRefunded {
			t.Fatalf("order %s was told %s %d times", id, template, n)
		}
	}
}

// quiet delivers everything again from the beginning: nobody says anything new.
func (w *paper) quiet() {
	before := map[string]int{}
	for stream, all := range w.streams {
		before[stream] = len(all)
	}
	for _, r := range w.readers {
		r.next = 0
	}
	w.drain()
	for stream, all := range w.streams {
		for _, e := range all[before[stream]:] {
			w.t.Fatalf("delivered again, %s says %s about %s", stream, e.Type, e.Subject)
		}
	}
}
