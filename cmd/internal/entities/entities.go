// Package entities lists the kinds of entities of the shop for tools that show their states: the commands ops at and ops diff, and the
// console. events/replay folds their events, and knows no domain.
//
// [Kinds] is the list; [Find] finds the entity that staff name: by its id, its kind and id ("payment:ID", "item:SKU"), or its subject
// in the log ("orders.ID"). An order also has a reservation and notifications of the same id, and a SKU has an item and stock: an id
// alone means the order, and a SKU alone means its stock.
package entities

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/events/worker"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// Kinds returns all kinds of entities. The first kind that has an entity with an id is the one that the id alone means.
func Kinds() []replay.Kind {
	return []replay.Kind{
		replay.KindOf("order", "orders", orders.Orders, func(o orders.Order) any { return o }),
		replay.KindOf("payment", "payments", payments.Payments, showPayment),
		replay.KindOf("stock", "stock", inventory.Stocks, showStock),
		replay.KindOf("item", "items", inventory.Items, func(i inventory.Item) any { return events.ItemChanged(i) }),
		replay.KindOf("reservation", "reservations", inventory.Reservations, showReservation),
		replay.KindOf("notification", "notifications", notifications.Notifications, func(n notifications.Notification) any { return n }),
		replay.KindOf("lane", "lanes", worker.Controls, showLane),
		replay.KindOf("void", "voids", eventlog.Voids, func(v events.EventVoided) any { return v }),
	}
}

// Payment is a payment with its status, which is derived from its facts.
type Payment struct {
	Status payments.Status `json:"status"`
	payments.Payment
}

func showPayment(p payments.Payment) any { return Payment{p.Status(), p} }

// stock is the stock of a SKU.
type stock struct {
	SKU string `json:"sku"`
	events.StockLevel
}

func showStock(s inventory.Stock) any { return stock{s.SKU, s.Level} }

// reservation is the stock held for an order.
type reservation struct {
	OrderID string                `json:"order_id"`
	State   inventory.State       `json:"state"`
	Lines   []events.ReservedLine `json:"lines,omitempty"`
	Short   []events.Shortage     `json:"short,omitempty"`
	Late    bool                  `json:"late,omitempty"`

	Returned map[string][]events.ReservedLine `json:"returned,omitempty"`
}

func showReservation(r inventory.Reservation) any { return reservation(r) }

// lane is whether operators have paused a lane.
type lane struct {
	Paused bool       `json:"paused"`
	Until  *time.Time `json:"until,omitempty"`
}

func showLane(c worker.Control) any { return lane(c) }

// Entity is an entity that was found.
type Entity struct {
	Kind    replay.Kind
	ID      string
	Subject string
}

// Name is the entity as staff can type it again.
func (e Entity) Name() string { return e.Kind.Name + ":" + e.ID }

// Find returns the entity that a text names. It returns [replay.ErrNotFound], and [events.ErrBadID] for text that cannot name one.
func Find(ctx context.Context, reader *replay.Reader, text string) (Entity, error) {
	candidates, err := candidates(text)
	if err != nil {
		return Entity{}, err
	}
	for _, e := range candidates {
		_, err := reader.Newest(ctx, e.Subject)
		if err == nil || !errors.Is(err, replay.ErrNotFound) {
			return e, err
		}
	}
	return Entity{}, fmt.Errorf("%w: %s; want the id or number of an order, a SKU, KIND:ID with one of %s, or a subject such as orders.ID",
		replay.ErrNotFound, text, strings.Join(names(), ", "))
}

// candidates returns the entities that a text may name, the likeliest first.
func candidates(text string) (found []Entity, err error) {
	for _, k := range Kinds() {
		if id, ok := k.ID(text); ok {
			return []Entity{{k, id, text}}, nil
		}
		if id, ok := strings.CutPrefix(text, k.Name+":"); ok {
			subject, err := k.Subject(id)
			return []Entity{{k, id, subject}}, err
		}
		subject, err := k.Subject(text)
		if err != nil {
			return nil, err
		}
		found = append(found, Entity{k, text, subject})
	}
	return found, nil
}

func names() (all []string) {
	for _, k := range Kinds() {
		all = append(all, k.Name)
	}
	return all
}
