package events

// ItemChanged: an item was listed or changed. It has every field of the item.
type ItemChanged struct {
	SKU         string   `json:"sku"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Price       Money    `json:"price"`
	Image       string   `json:"image,omitempty"` // path or URL of a picture
	Tags        []string `json:"tags,omitempty"`
}

// EventType implements [Payload].
func (ItemChanged) EventType() string { return "inventory.item_changed" }

// StockLevel is the stock of a SKU: OnHand = Available + Held, none below zero.
type StockLevel struct {
	OnHand    int64 `json:"on_hand"`
	Available int64 `json:"available"`
	Held      int64 `json:"held"`
}

// StockMovement is one entry of a SKU's ledger. After is the balance, as in a bank statement: the last entry alone has the
// level, and each entry can be checked against the one before.
type StockMovement struct {
	Location string     `json:"location"` // where the units are
	SKU      string     `json:"sku"`
	Quantity int64      `json:"quantity"` // units moved; signed for adjustments, positive otherwise
	OrderID  string     `json:"order_id,omitempty"`
	After    StockLevel `json:"after"`
}

// StockAdjusted: goods were received, counted, damaged or returned. Quantity changes OnHand and Available.
type StockAdjusted struct {
	StockMovement
	Reason string `json:"reason"` // such as "received", "counted", "damaged"
}

// EventType implements [Payload].
func (StockAdjusted) EventType() string { return "inventory.stock_adjusted" }

// StockHeld: Quantity moved from Available to Held.
type StockHeld struct{ StockMovement }

// EventType implements [Payload].
func (StockHeld) EventType() string { return "inventory.stock_held" }

// StockReleased: Quantity moved from Held back to Available.
type StockReleased struct{ StockMovement }

// EventType implements [Payload].
func (StockReleased) EventType() string { return "inventory.stock_released" }

// StockCommitted: Quantity is sold; it left Held and OnHand.
type StockCommitted struct{ StockMovement }

// EventType implements [Payload].
func (StockCommitted) EventType() string { return "inventory.stock_committed" }

// StockReturned: Quantity was sold and is available again; it is added to Available and OnHand.
type StockReturned struct{ StockMovement }

// EventType implements [Payload].
func (StockReturned) EventType() string { return "inventory.stock_returned" }

// ReservedLine is one SKU of a reservation.
type ReservedLine struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// ReservationHeld: all lines of an order are held, in the same atomic batch as their ledger entries.
type ReservationHeld struct {
	OrderID string         `json:"order_id"`
	Lines   []ReservedLine `json:"lines"`
}

// EventType implements [Payload].
func (ReservationHeld) EventType() string { return "inventory.reservation_held" }

// ReservationRefused: no line is held, because these SKUs were short.
type ReservationRefused struct {
	OrderID string     `json:"order_id"`
	Short   []Shortage `json:"short"`
}

// EventType implements [Payload].
func (ReservationRefused) EventType() string { return "inventory.reservation_refused" }

// ReservationReleased: the held lines are available again.
type ReservationReleased struct {
	OrderID string `json:"order_id"`
}

// EventType implements [Payload].
func (ReservationReleased) EventType() string { return "inventory.reservation_released" }

// ReservationCommitted: the held lines are sold.
type ReservationCommitted struct {
	OrderID string `json:"order_id"`
}

// EventType implements [Payload].
func (ReservationCommitted) EventType() string { return "inventory.reservation_committed" }

// ReservationReturned: goods of the order that were sold are in stock again, in the same atomic batch as their ledger entries. Each
// cause returns goods once.
type ReservationReturned struct {
	OrderID string         `json:"order_id"`
	Cause   string         `json:"cause"` // id of the refund or fulfilment that returned them; "cancelled" for the cancellation of the order
	Lines   []ReservedLine `json:"lines"`
}

// EventType implements [Payload].
func (ReservationReturned) EventType() string { return "inventory.reservation_returned" }
