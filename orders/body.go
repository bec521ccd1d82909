package orders

import (
	"slices"
	"time"

	"tillstream/events"
)

// addressRequest, lineRequest and orderRequest are the body of POST /api/orders.
type addressRequest struct {
	Line1      string `json:"line1" doc:"Street and house number"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city"`
	PostalCode string `json:"postal_code"`
	Country    string `json:"country" doc:"ISO 3166-1 alpha-2" example:"GB"`
}

type lineRequest struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity" doc:"At least 1; lines of one SKU are added up"`
}

type orderRequest struct {
	Email           string         `json:"email"`
	Name            string         `json:"name"`
	Locale          string         `json:"locale,omitempty" doc:"Language of the mails, such as en or de" example:"en"`
	ShippingAddress addressRequest `json:"shipping_address"`
	Lines           []lineRequest  `json:"lines"`
}

func (r orderRequest) placement() Placement {
	lines := make([]events.ReservedLine, 0, len(r.Lines))
	for _, l := range r.Lines {
		lines = append(lines, events.ReservedLine{SKU: l.SKU, Quantity: l.Quantity})
	}
	return Placement{Customer: events.Customer{Email: r.Email, Name: r.Name, Locale: r.Locale}, ShipTo: events.Address(r.ShippingAddress), Lines: lines}
}

// reason is the reason why an order ended without being confirmed.
type reason struct {
	Code    string            `json:"code" enum:"out_of_stock,paid_too_late,payment_not_taken,expired,cancelled,declined_too_often,authorization_expired"`
	Message string            `json:"message"`
	Short   []events.Shortage `json:"short,omitempty"`
}

// OrderBody is an order as its shopper sees it. Its name is exported because huma describes an embedded struct only then.
type OrderBody struct {
	ID               string                `json:"id"`
	Number           string                `json:"number" doc:"Order number to quote on the telephone"`
	Status           Status                `json:"status" enum:"placed,awaiting_payment,capturing,confirmed,rejected,expired,cancelled,paid_late"`
	PaymentStatus    PaymentStatus         `json:"payment_status" enum:"unpaid,authorized,paid,partly_refunded,refunded,disputed"`
	FulfilmentStatus FulfilmentStatus      `json:"fulfilment_status" enum:"unfulfilled,partly_fulfilled,fulfilled"`
	Reason           *reason               `json:"reason,omitempty"`
	Email            string                `json:"email"`
	Name             string                `json:"name"`
	Locale           string                `json:"locale"`
	ShippingAddress  events.Address        `json:"shipping_address"`
	Lines            []events.OrderLine    `json:"lines"`
	Subtotal         events.Money          `json:"subtotal"`
	Shipping         events.Money          `json:"shipping"`
	Tax              events.Money          `json:"tax"`
	Total            events.Money          `json:"total"`
	Currency         string                `json:"currency"`
	PlacedAt         time.Time             `json:"placed_at"`
	ExpiresAt        *time.Time            `json:"expires_at,omitempty" doc:"When the stock of an unpaid order is released"`
	DeadlineReason   string                `json:"deadline_reason,omitempty" enum:"payment_processing,processing_failed" doc:"Why expires_at is not that of a new order: the bank takes days to process the payment, or it has failed after that and the order can be paid in another way"`
	Refunded         *events.Money         `json:"refunded,omitempty"`
	Cancelled        []events.ReservedLine `json:"cancelled,omitempty" doc:"Goods that are not sent any more; the shopper does not pay for them"`
	Refunds          []shownRefund         `json:"refunds,omitempty"`
}

// shownRefund is a refund as the shopper sees it. One that failed is not shown: it is staff's to repair.
type shownRefund struct {
	Amount events.Money `json:"amount"`
	State  RefundState  `json:"state" enum:"requested,succeeded" doc:"requested until the bank has paid"`
}

type placedBody struct {
	OrderBody
	AccessToken string `json:"access_token" doc:"Opens this order: send it as a bearer token"`
}

// reasons are the messages for shoppers, by code.
var reasons = map[string]string{
	events.RejectedNoStock:            "Some items are sold out. You were not charged.",
	events.RejectedPaidLate:           "Your payment arrived after the order had expired, and the items were sold in the meantime. We refund the full amount.",
	events.RejectedPaymentFailed:      "The payment could not be started. You were not charged. Please order again.",
	string(Expired):                   "The order was not paid in time. You were not charged. Please order again.",
	events.CancelDeclinedTooOften:     "Your card was declined too often, so the order was cancelled. You were not charged. Please order again with another card.",
	events.CancelAuthorizationExpired: "The authorization of your payment expired before the goods were sent, so the order was cancelled. You were not charged. Please order again.",
	string(Cancelled):                 "The order was cancelled. You were not charged. A payment in progress is refunded.",
}

// tooMany is the message of an order that is short only because one unpaid order may not hold all of what is in stock.
const tooMany = "Some quantities are larger than one order can reserve before it is paid. You were not charged. Please order fewer units, or contact us."

func newOrderBody(o Order) OrderBody {
	b := OrderBody{ID: o.ID, Number: o.Number, Status: o.Status, PaymentStatus: o.Payment, FulfilmentStatus: o.Fulfilment, Email: o.Customer.Email, Name: o.Customer.Name, Locale: o.Customer.Locale,
		ShippingAddress: o.ShipTo, Lines: o.Lines, Subtotal: o.Subtotal, Shipping: o.Shipping, Tax: o.Tax, Total: o.Total, Currency: o.Total.Currency,
		PlacedAt: o.PlacedAt}
	switch o.Status {
	case Placed, AwaitingPayment:
		b.ExpiresAt, b.DeadlineReason = &o.ExpiresAt, o.Deadline
	case Rejected:
		b.Reason = &reason{Code: o.Reason, Message: reasons[o.Reason], Short: o.Short}
		if len(o.Short) > 0 && !slices.ContainsFunc(o.Short, func(s events.Shortage) bool { return !s.Limited }) {
			b.Reason.Message = tooMany
		}
	case Expired, Cancelled:
		b.Reason = &reason{Code: string(o.Status), Message: reasons[string(o.Status)]}
		if o.Reason == events.CancelDeclinedTooOften || o.Reason == events.CancelAuthorizationExpired {
			b.Reason = &reason{Code: o.Reason, Message: reasons[o.Reason]}
		}
	}
	b.Cancelled = o.cancelledGoods()
	if refunded := o.RefundedTotal(); !refunded.IsZero() {
		b.Refunded = &refunded
	}
	for _, r := range o.Refunds {
		if r.State != RefundFailed {
			b.Refunds = append(b.Refunds, shownRefund{Amount: r.Amount, State: r.State})
		}
	}
	return b
}

type listInput struct {
	Q          string             `query:"q" maxLength:"254" doc:"What staff type: an order number in any spelling, an id, an e-mail address, a Stripe id; or words of name, address and SKU, statuses and dates such as 2026-11-01..2026-11-07, today, 7d"`
	Status     []Status           `query:"status" enum:"placed,awaiting_payment,capturing,confirmed,rejected,expired,cancelled,paid_late" doc:"One or more, separated by commas"`
	Payment    []PaymentStatus    `query:"payment_status" enum:"unpaid,authorized,paid,partly_refunded,refunded,disputed" doc:"One or more, separated by commas"`
	Fulfilment []FulfilmentStatus `query:"fulfilment_status" enum:"unfulfilled,partly_fulfilled,fulfilled" doc:"One or more, separated by commas"`
	From       string             `query:"from" maxLength:"40" doc:"Placed on this day or later; a date, or a time as of RFC 3339"`
	To         string             `query:"to" maxLength:"40" doc:"Placed on this day or earlier; a date, or before a time as of RFC 3339"`
	Sort       string             `query:"sort" enum:"newest,oldest,total,changed" default:"newest"`
	Limit      int                `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Skip       int                `query:"skip" minimum:"0" doc:"Leave out this many orders; a cursor is better, because new orders do not move it"`
	Cursor     string             `query:"cursor" maxLength:"200"`
}

func badDate(field, text string) error {
	return &events.InvalidError{Faults: []events.Fault{{Field: "query." + field, Message: "want a date such as 2026-11-01, today, 7d, or a time such as 2026-11-01T12:00:00Z", Value: text}}}
}

type listedOrder struct {
	ID               string           `json:"id"`
	Number           string           `json:"number"`
	Status           Status           `json:"status"`
	PaymentStatus    PaymentStatus    `json:"payment_status"`
	FulfilmentStatus FulfilmentStatus `json:"fulfilment_status"`
	Email            string           `json:"email"`
	Name             string           `json:"name"`
	Place            string           `json:"place" doc:"City and country"`
	Total            events.Money     `json:"total"`
	PlacedAt         time.Time        `json:"placed_at"`
	ChangedAt        time.Time        `json:"changed_at"`
}

func (r *row) listed() listedOrder {
	return listedOrder{ID: r.id, Number: r.number, Status: r.status, PaymentStatus: r.payment, FulfilmentStatus: r.fulfilment,
		Email: r.email, Name: r.name, Place: r.place, Total: r.total, PlacedAt: r.placed, ChangedAt: r.changed}
}

type listOutput struct {
	Body struct {
		Orders     []listedOrder `json:"orders"`
		Total      int           `json:"total" doc:"Of all pages"`
		Exact      bool          `json:"exact" doc:"q names an order, or a customer by the e-mail address"`
		NextCursor string        `json:"next_cursor,omitempty"`
	}
}
