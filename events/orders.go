package events

import "time"

// Address is the shipping address of an order.
type Address struct {
	Line1      string `json:"line1"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country"` // ISO 3166-1 alpha-2
}

// OrderLine is one SKU of an order at the price at which it is sold.
type OrderLine struct {
	SKU       string `json:"sku"`
	Title     string `json:"title"`
	Quantity  int64  `json:"quantity"`
	UnitPrice Money  `json:"unit_price"`
	Total     Money  `json:"total"`
}

// Shortage is a SKU of which an order requested more than was available to it.
type Shortage struct {
	SKU       string `json:"sku"`
	Requested int64  `json:"requested"`
	Available int64  `json:"available"`
	Limited   bool   `json:"limited,omitzero"` // more was in stock, but one unpaid order may not hold all of it
}

// Customer is the recipient of the mails about an order. Only the first event of the order has it.
type Customer struct {
	Email  string `json:"email"`
	Name   string `json:"name"`
	Locale string `json:"locale"` // BCP 47, such as "en" or "de-AT"
}

// OrderPlaced: a shopper placed an order at these prices. No stock is held yet. It is the first event of an order, and the
// only one with the customer, the priced lines, the totals and the address: none of them changes later.
type OrderPlaced struct {
	OrderID     string      `json:"order_id"`
	Number      string      `json:"number"`                // order number that the customer quotes on the telephone
	CustomerID  string      `json:"customer_id,omitempty"` // of the account; a guest has none
	Customer    Customer    `json:"customer"`
	ShipTo      Address     `json:"ship_to"`
	Lines       []OrderLine `json:"lines"` // one per SKU
	Subtotal    Money       `json:"subtotal"`
	Shipping    Money       `json:"shipping"`
	Tax         Money       `json:"tax"` // on top of the prices; 0 when they include it
	Total       Money       `json:"total"`
	ExpiresAt   time.Time   `json:"expires_at"`   // when the stock of an unpaid order is released
	RequestHash string      `json:"request_hash"` // SHA-256 of the request, to tell a repeated request from another order
}

// EventType implements [Payload].
func (OrderPlaced) EventType() string { return "orders.placed" }

// The kinds of shoppers, for rules against fraud.
const (
	ShopperGuest    = "guest"
	ShopperCustomer = "customer" // with an account
)

// OrderAwaitingPayment: every line is held until ExpiresAt, and the payment PaymentID can be requested.
type OrderAwaitingPayment struct {
	OrderID   string    `json:"order_id"`
	PaymentID string    `json:"payment_id"`
	Number    string    `json:"number"`
	Amount    Money     `json:"amount"`
	ExpiresAt time.Time `json:"expires_at"`
	Shopper   string    `json:"shopper,omitempty"` // one of the Shopper constants; "" in events of older releases
}

// EventType implements [Payload].
func (OrderAwaitingPayment) EventType() string { return "orders.awaiting_payment" }

// OrderPaymentAccepted: the authorization of the payment is accepted. From here on the order does not expire, the shopper
// cannot cancel it, and the amount can be captured.
type OrderPaymentAccepted struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id"`
	Amount    Money  `json:"amount"`
}

// EventType implements [Payload].
func (OrderPaymentAccepted) EventType() string { return "orders.payment_accepted" }

// OrderOutcome is the part that the last events of an order share: the order and its payment. Customer, lines and address are
// only in [OrderPlaced], the first event of the order.
type OrderOutcome struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id,omitempty"` // "" when no payment was requested
	Number    string `json:"number"`

	// UnpaidGuest: a guest's order was rejected, expired or cancelled while nothing was authorized. Anyone can place such an order
	// with the address of someone else, so nothing is mailed about it.
	UnpaidGuest bool `json:"unpaid_guest,omitzero"`
}

// OrderConfirmed: the order is paid, and its held stock is sold.
type OrderConfirmed struct {
	OrderOutcome
}

// EventType implements [Payload].
func (OrderConfirmed) EventType() string { return "orders.confirmed" }

// Reasons of an [OrderRejected].
const (
	RejectedNoStock       = "out_of_stock"      // a line was short when the order was placed
	RejectedPaidLate      = "paid_too_late"     // paid after expiry, when the stock was gone
	RejectedPaymentFailed = "payment_not_taken" // Stripe refused to create the payment
)

// OrderRejected: the shop cannot deliver the order. Its payment, if any, is cancelled or refunded.
type OrderRejected struct {
	OrderOutcome
	Reason string     `json:"reason"` // one of the Rejected constants
	Short  []Shortage `json:"short,omitempty"`
}

// EventType implements [Payload].
func (OrderRejected) EventType() string { return "orders.rejected" }

// OrderExpired: the order was not paid in time. Its stock is released.
type OrderExpired struct {
	OrderOutcome
}

// EventType implements [Payload].
func (OrderExpired) EventType() string { return "orders.expired" }

// Reasons of an [OrderCancelled]. The actor of the event is who cancelled it.
const (
	CancelRequested        = "requested"         // the shopper or staff cancelled it
	CancelPaymentCancelled = "payment_cancelled" // the payment was cancelled at Stripe, or its authorization expired
	CancelRefunded         = "refunded"          // a late payment was refunded before the stock was held again

	// CancelDeclinedTooOften: so many attempts to pay were declined that the payment was cancelled. It is also the reason of that
	// payment's [PaymentCancelRequested] and [PaymentCancelled].
	CancelDeclinedTooOften = "declined_too_often"
)

// OrderCancelled: the order was cancelled before it was paid. A later payment is cancelled or refunded.
type OrderCancelled struct {
	OrderOutcome
	Reason string `json:"reason"` // one of the Cancel constants
}

// EventType implements [Payload].
func (OrderCancelled) EventType() string { return "orders.cancelled" }

// OrderPaidLate: a payment arrived after the order had expired. Inventory holds the stock again; when it is sold out the
// payment is cancelled or refunded. The event repeats the lines, because inventory reads only this event.
type OrderPaidLate struct {
	OrderID string      `json:"order_id"`
	Lines   []OrderLine `json:"lines"`
	Amount  Money       `json:"amount"`
	// A capture after the authorization is a second event of the same order.
	Captured bool `json:"captured"` // the amount is captured, not only authorized
}

// EventType implements [Payload].
func (OrderPaidLate) EventType() string { return "orders.paid_late" }

// OrderRefunded: an amount was refunded to the shopper.
type OrderRefunded struct {
	OrderOutcome
	RefundID string `json:"refund_id"`
	Amount   Money  `json:"amount"` // of this refund
}

// EventType implements [Payload].
func (OrderRefunded) EventType() string { return "orders.refunded" }
