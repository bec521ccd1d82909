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

// OrderConfirmed: the order is paid, and its held stock is sold. With Authorized the money is authorized and captured when goods
// are sent ([CaptureAtFulfilment]).
type OrderConfirmed struct {
	OrderOutcome
	Authorized bool `json:"authorized,omitzero"`
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

	// CancelAuthorizationExpired: the bank released the authorization before anything was captured.
	CancelAuthorizationExpired = "authorization_expired"

	// CancelDeclinedTooOften: so many attempts to pay were declined that the payment was cancelled. It is also the reason of that
	// payment's [PaymentCancelRequested] and [PaymentCancelled].
	CancelDeclinedTooOften = "declined_too_often"
)

// OrderCancelled: the order was cancelled before it was paid. A later payment is cancelled or refunded. Inventory returns Restock to
// stock: the goods of an order that was confirmed with an authorization.
type OrderCancelled struct {
	OrderOutcome
	Reason  string         `json:"reason"` // one of the Cancel constants
	Restock []ReservedLine `json:"restock,omitempty"`
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
	Captured bool   `json:"captured"`          // the amount is captured, not only authorized
	Capture  string `json:"capture,omitempty"` // of an authorization: as in [PaymentRequested]
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

// Reasons of an [OrderDeadlineChanged].
const (
	DeadlineProcessing       = "payment_processing" // the bank takes days to process the payment
	DeadlineProcessingFailed = "processing_failed"  // the shopper may pay in another way
)

// OrderDeadlineChanged: the unpaid order is held until another time, because of its payment method.
type OrderDeadlineChanged struct {
	OrderID   string    `json:"order_id"`
	ExpiresAt time.Time `json:"expires_at"`
	Reason    string    `json:"reason"` // one of the Deadline constants
}

// EventType implements [Payload].
func (OrderDeadlineChanged) EventType() string { return "orders.deadline_changed" }

// OrderFulfilmentCreated: goods of the order are sent. The fulfilments of an order never have more of a SKU than was ordered. With
// Final nothing else will be sent: Cancelled has the rest of the goods, which inventory returns to stock, and the shopper does not
// pay Released.
type OrderFulfilmentCreated struct {
	OrderOutcome
	FulfilmentID string         `json:"fulfilment_id"`
	Lines        []ReservedLine `json:"lines"`
	Amount       Money          `json:"amount"` // price of the goods; the first fulfilment includes delivery and tax
	Final        bool           `json:"final,omitzero"`
	Cancelled    []ReservedLine `json:"cancelled,omitempty"`
	Released     Money          `json:"released,omitzero"`
	Carrier      string         `json:"carrier,omitempty"`
	Tracking     string         `json:"tracking,omitempty"`     // number of the parcel
	Due          Money          `json:"due,omitzero"`           // sum of Amount of all fulfilments of the order, with this one
	RequestHash  string         `json:"request_hash,omitempty"` // SHA-256 of the request, to tell a repeated request from another fulfilment
}

// EventType implements [Payload].
func (OrderFulfilmentCreated) EventType() string { return "orders.fulfilment_created" }

// OrderPaymentCaptured: money of an order that was confirmed with an authorization is captured.
type OrderPaymentCaptured struct {
	OrderOutcome
	Amount Money `json:"amount"`        // captured so far
	More   bool  `json:"more,omitzero"` // as in [PaymentCaptured]
}

// EventType implements [Payload].
func (OrderPaymentCaptured) EventType() string { return "orders.payment_captured" }

// OrderAuthorizationLost: the authorization of an order ended before all that is due was captured, and goods were sent. Nothing more
// can be captured. Inventory returns Lines, which are not sent any more, to stock.
type OrderAuthorizationLost struct {
	OrderOutcome
	Lines    []ReservedLine `json:"lines,omitempty"`
	Released Money          `json:"released"` // of the total: price of the goods that are not sent, which the shopper does not pay
	Unpaid   Money          `json:"unpaid"`   // price of what was sent, less what was captured: staff must ask the shopper for it
}

// EventType implements [Payload].
func (OrderAuthorizationLost) EventType() string { return "orders.authorization_lost" }

// RefundLine is the part of a refund for one SKU.
type RefundLine struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	Amount   Money  `json:"amount"`
	Unsent   int64  `json:"unsent,omitzero"`  // units of the quantity that were not sent and will not be
	Restock  int64  `json:"restock,omitzero"` // units of the unsent ones that inventory returns to stock
}

// OrderRefundRequested: staff or the shop ask for a refund. Amount is that of the lines, of the delivery, and of what staff add
// without naming a line. The refunds of an order that have not failed never exceed what was captured. The envelope has who and why.
type OrderRefundRequested struct {
	OrderOutcome
	RefundID string       `json:"refund_id"`
	Amount   Money        `json:"amount"`
	Lines    []RefundLine `json:"lines,omitempty"`
	Shipping Money        `json:"shipping,omitzero"` // the part of the amount that is for delivery
	Reason   string       `json:"reason"`
	Replaces string       `json:"replaces,omitempty"` // the failed refund that this one makes good

	// RequestHash is the SHA-256 of the request of staff, to tell a repeated request from another one; "" if the shop or Stripe's
	// dashboard made the refund.
	RequestHash string `json:"request_hash,omitempty"`
}

// EventType implements [Payload].
func (OrderRefundRequested) EventType() string { return "orders.refund_requested" }

// OrderRefundFailed: a refund failed, perhaps days after it succeeded. The shopper does not have the money: staff must look at it.
type OrderRefundFailed struct {
	OrderOutcome
	RefundID string `json:"refund_id"`
	Amount   Money  `json:"amount"`
	Reason   string `json:"reason"`
}

// EventType implements [Payload].
func (OrderRefundFailed) EventType() string { return "orders.refund_failed" }

// OrderDisputed: the shopper's bank disputes the payment. Nothing is sent until the dispute is closed.
type OrderDisputed struct {
	OrderOutcome
	Dispute     string    `json:"dispute"` // id at Stripe
	Status      string    `json:"status"`  // as in [PaymentDisputeUpdated]
	Reason      string    `json:"reason"`
	Amount      Money     `json:"amount"`
	EvidenceDue time.Time `json:"evidence_due,omitzero"`
	ReportedAt  time.Time `json:"reported_at,omitzero"` // when payments recorded it
}

// EventType implements [Payload].
func (OrderDisputed) EventType() string { return "orders.disputed" }

// OrderDisputeClosed: a dispute has ended.
type OrderDisputeClosed struct {
	OrderOutcome
	Dispute    string    `json:"dispute"`
	Status     string    `json:"status"` // DisputeWon, DisputeLost or DisputeWarningClosed
	Reason     string    `json:"reason,omitempty"`
	Amount     Money     `json:"amount"`
	ReportedAt time.Time `json:"reported_at,omitzero"` // when payments recorded it
}

// EventType implements [Payload].
func (OrderDisputeClosed) EventType() string { return "orders.dispute_closed" }
