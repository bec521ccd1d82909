package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
)

// Movement is one entry of the stock ledger of a SKU.
type Movement struct {
	Revision uint64            `json:"revision"` // number of the entry, from 1
	Sequence uint64            `json:"sequence"` // in the log
	EventID  string            `json:"event_id"`
	Time     time.Time         `json:"time"`
	What     string            `json:"what"`   // adjusted, held, released, sold or returned; unreadable for a message that is not a movement
	Change   int64             `json:"change"` // of the units on hand when adjusted, sold or returned; of the available ones when held or released
	After    events.StockLevel `json:"after"`
	OrderID  string            `json:"order_id,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Actor    string            `json:"actor"`
	Via      string            `json:"via,omitempty"`
}

// Ledger is a part of the stock ledger of a SKU.
type Ledger struct {
	SKU       string     `json:"sku"`
	Movements []Movement `json:"movements"`       // newest first
	Total     uint64     `json:"total"`           // number of movements of the whole ledger
	Older     uint64     `json:"older,omitempty"` // revision before which the next part ends; 0 when this one has the first movement
}

// Ledger returns the newest movements of a SKU, at most limit of them, or those before the movement with a revision, if that is not 0.
// It returns [ErrNotFound] for a SKU without movements, or [events.ErrBadID].
func (r *Reader) Ledger(ctx context.Context, sku string, before uint64, limit int) (Ledger, error) {
	subject, err := StockSubject(sku)
	if err != nil {
		return Ledger{}, err
	}
	page, err := r.EntityPage(ctx, subject, before, limit)
	if errors.Is(err, ErrNotFound) {
		return Ledger{}, fmt.Errorf("%w: a stock movement of %s", ErrNotFound, sku)
	}
	if err != nil {
		return Ledger{}, err
	}
	ledger := Ledger{SKU: sku, Movements: make([]Movement, 0, len(page.Messages)), Total: page.Newest, Older: page.Older}
	for _, m := range page.Messages {
		ledger.Movements = append(ledger.Movements, movementIn(m))
	}
	return ledger, nil
}

// StockSubject returns the subject of the stock ledger of a SKU, or [events.ErrBadID].
func StockSubject(sku string) (string, error) {
	if err := events.CheckSKU(sku); err != nil {
		return "", err
	}
	return events.Subject(events.PrefixStock, sku)
}

// movementIn returns the movement that a message has. A message that no program can read, or that is void, stays visible.
func movementIn(m Message) Movement {
	row := Movement{Revision: revisionOf(m), Sequence: m.Sequence, Time: m.Stored, What: "unreadable"}
	e, err := m.Event()
	if err != nil {
		row.Reason = err.Error()
		return row
	}
	row.EventID, row.Time, row.Actor, row.Via, row.Reason = e.ID, e.Time, e.Actor, e.Via, e.Reason
	what, change, movement := movementOf(e.Payload)
	if what == "" {
		return row
	}
	row.What, row.Change, row.After, row.OrderID = what, change, movement.After, movement.OrderID
	if adjusted, ok := e.Payload.(events.StockAdjusted); ok {
		row.Reason = adjusted.Reason
	}
	if m.Voided() {
		row.What, row.Reason = "void", "declared void: "+what
	}
	return row
}

// movementOf names a movement of stock and what it changes; "" for another payload.
func movementOf(p events.Payload) (what string, change int64, m events.StockMovement) {
	switch p := p.(type) {
	case events.StockAdjusted:
		return "adjusted", p.Quantity, p.StockMovement
	case events.StockHeld:
		return "held", -p.Quantity, p.StockMovement
	case events.StockReleased:
		return "released", p.Quantity, p.StockMovement
	case events.StockCommitted:
		return "sold", -p.Quantity, p.StockMovement
	case events.StockReturned:
		return "returned", p.Quantity, p.StockMovement
	}
	return "", 0, events.StockMovement{}
}
