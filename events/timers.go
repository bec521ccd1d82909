package events

import "time"

// OrdersDue: the deadline of these unpaid orders has come. The deadline in each order decides, not this event: it may be
// early, late, repeated or missing.
type OrdersDue struct {
	Orders []string  `json:"orders"`
	Due    time.Time `json:"due"`
}

// EventType implements [Payload].
func (OrdersDue) EventType() string { return "timers.orders_due" }
