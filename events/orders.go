package events

import "time"

// Address is where an order is sent.
type Address struct {
	Line1      string `json:"line1"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"` // ISO 3166-1 alpha-2
}

// OrderLine is one SKU of an order at the price that it was sold for.
type OrderLine struct {
	SKU       string `json:"sku"`
	Title     string `json:"title"`
	Quantity  int64  `json:"quantity"`
	UnitPrice Money  `json:"unit_price"`
	Total     Money  `json:"total"`
}

// Shortage says how much of a SKU an order wanted and how much there was.
type Shortage struct {
	SKU       string `json:"sku"`
	Requested int64  `json:"requested"`
	Available int64  `json:"available"`
}

// Customer is whom the shop writes to about an order. It stands in the first event of the order alone.
type Customer struct {
	Email  string `json:"email"`
	Name   string `json:"name"`
	Locale string `json:"locale"` // BCP 47, such as "en" or "de-AT"
}

// OrderPlaced: the shopper has ordered, at these prices. Nothing is held yet. It is the first event of an order, and the
// only one with its priced lines, its totals and its address: none of them changes later.
type OrderPlaced struct {
	OrderID     string      `json:"order_id"`
	Number      string      `json:"number"`                // what the customer quotes on the telephone
	CustomerID  string      `json:"customer_id,omitempty"` // of the account that ordered; a guest has none
	Customer    Customer    `json:"customer"`
	ShipTo      Address     `json:"ship_to"`
	Lines       []OrderLine `json:"lines"` // one per SKU
	Subtotal    Money       `json:"subtotal"`
	Shipping    Money       `json:"shipping"`
	Tax         Money       `json:"tax"` // on top of prices that do not include it; 0 where they do
	Total       Money       `json:"total"`
	ExpiresAt   time.Time   `json:"expires_at"`   // when an unpaid order gives its stock back
	RequestHash string      `json:"request_hash"` // SHA-256 of what was asked for, to tell a retry from another order
}

// EventType implements [Payload].
func (OrderPlaced) EventType() string { return "orders.placed" }

// OrderAwaitingPayment: every line is held until ExpiresAt; the money may be asked for, as the payment PaymentID.
type OrderAwaitingPayment struct {
	OrderID   string    `json:"order_id"`
	PaymentID string    `json:"payment_id"`
	Number    string    `json:"number"`
	Amount    Money     `json:"amount"`
	ExpiresAt time.Time `json:"expires_at"`
}

// EventType implements [Payload].
func (OrderAwaitingPayment) EventType() string { return "orders.awaiting_payment" }

// OrderPaymentAccepted: the shopper's authorisation is taken up; from here the order neither expires nor can be
// cancelled by the shopper, and the money may be captured.
type OrderPaymentAccepted struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id"`
	Amount    Money  `json:"amount"`
}

// EventType implements [Payload].
func (OrderPaymentAccepted) EventType() string { return "orders.payment_accepted" }

// OrderOutcome is what an order's last events share: which order it is, and which payment was asked for. Who ordered what,
// at what price and for which address stands in [OrderPlaced], the first event of the order, and is not repeated.
type OrderOutcome struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id,omitempty"` // "" when no payment was asked for
	Number    string `json:"number"`
}

// OrderConfirmed: paid; the held stock is sold.
type OrderConfirmed struct {
	OrderOutcome
}

// EventType implements [Payload].
func (OrderConfirmed) EventType() string { return "orders.confirmed" }

// Why an order was rejected.
const (
	RejectedNoStock       = "out_of_stock"      // a line was short when the order was placed
	RejectedPaidLate      = "paid_too_late"     // paid after expiry, and the stock was gone by then
	RejectedPaymentFailed = "payment_not_taken" // Stripe refused to take the payment up at all
)

// OrderRejected: the shop cannot keep the promise. Money that came in goes back.
type OrderRejected struct {
	OrderOutcome
	Reason string     `json:"reason"` // one of the Rejected constants
	Short  []Shortage `json:"short,omitempty"`
}

// EventType implements [Payload].
func (OrderRejected) EventType() string { return "orders.rejected" }

// OrderExpired: nobody paid in time; the stock is given back.
type OrderExpired struct {
	OrderOutcome
}

// EventType implements [Payload].
func (OrderExpired) EventType() string { return "orders.expired" }

// Why an order was cancelled. Who asked for it is the actor of the event.
const (
	CancelRequested        = "requested"         // the shopper or staff asked for it
	CancelPaymentCancelled = "payment_cancelled" // the payment was called off at Stripe, or its authorisation ran out
	CancelRefunded         = "refunded"          // the money was sent back before the goods could be held
)

// OrderCancelled: called off before it was paid. Money that comes in later goes back.
type OrderCancelled struct {
	OrderOutcome
	Reason string `json:"reason"` // one of the Cancel constants
}

// EventType implements [Payload].
func (OrderCancelled) EventType() string { return "orders.cancelled" }

// OrderPaidLate: money arrived after expiry. The stock is to be held again; if it is gone the money goes back. It names the
// lines once more, because inventory holds them by this event alone.
type OrderPaidLate struct {
	OrderID string      `json:"order_id"`
	Lines   []OrderLine `json:"lines"`
	Amount  Money       `json:"amount"`
	// Captured: the money is ours already, not only reserved. It can follow as a second event of the same order.
	Captured bool `json:"captured"`
}

// EventType implements [Payload].
func (OrderPaidLate) EventType() string { return "orders.paid_late" }

// OrderRefunded: money went back to the shopper.
type OrderRefunded struct {
	OrderOutcome
	RefundID string `json:"refund_id"`
	Amount   Money  `json:"amount"` // of this refund
}

// EventType implements [Payload].
func (OrderRefunded) EventType() string { return "orders.refunded" }
