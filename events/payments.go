package events

import (
	"time"

	"github.com/google/uuid"

	"github.com/go-json-experiment/json/jsontext"
)

// paymentNamespace is the UUID namespace of payments (RFC 9562 §5.5). It never changes.
var paymentNamespace = uuid.MustParse("7b1e6c0a-52ff-5c31-9d53-0f0d6a1c6f7e")

// FirstPaymentID returns the id of the first payment of an order. It is derived from the order's id, so finding the payment
// needs no index.
func FirstPaymentID(orderID string) string {
	return uuid.NewSHA1(paymentNamespace, []byte(orderID+"/1")).String()
}

// PaymentRequested: an order requests a payment of Amount, and a PaymentIntent is to be created. It is the first event of a
// payment.
type PaymentRequested struct {
	OrderID   string    `json:"order_id"`
	PaymentID string    `json:"payment_id"`
	Number    string    `json:"number"`
	Amount    Money     `json:"amount"`
	ExpiresAt time.Time `json:"expires_at"`
	Shopper   string    `json:"shopper,omitempty"` // as in [OrderAwaitingPayment]
}

// EventType implements [Payload].
func (PaymentRequested) EventType() string { return "payments.requested" }

// PaymentIntentCreated: Stripe has created the PaymentIntent. Its client secret is never in the log.
type PaymentIntentCreated struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Amount        Money  `json:"amount"`
	Livemode      bool   `json:"livemode"`
}

// EventType implements [Payload].
func (PaymentIntentCreated) EventType() string { return "payments.intent_created" }

// PaymentActionRequired: the bank requires an action of the shopper (3-D Secure).
type PaymentActionRequired struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
}

// EventType implements [Payload].
func (PaymentActionRequired) EventType() string { return "payments.action_required" }

// PaymentProcessing: the bank is processing the payment.
type PaymentProcessing struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
}

// EventType implements [Payload].
func (PaymentProcessing) EventType() string { return "payments.processing" }

// PaymentDeclined: one attempt was declined. The shopper may try another card.
type PaymentDeclined struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Fact          string `json:"fact"` // id of the Stripe object that was declined (charge, else event), so that it counts once
	Code          string `json:"code"`
	DeclineCode   string `json:"decline_code,omitempty"`
	Message       string `json:"message"`
}

// EventType implements [Payload].
func (PaymentDeclined) EventType() string { return "payments.declined" }

// PaymentAuthorized: the amount is authorized on the shopper's card and can be captured.
type PaymentAuthorized struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Charge        string `json:"charge,omitempty"`
	Amount        Money  `json:"amount"`
}

// EventType implements [Payload].
func (PaymentAuthorized) EventType() string { return "payments.authorized" }

// PaymentCaptured: the amount was captured.
type PaymentCaptured struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Charge        string `json:"charge,omitempty"`
	Amount        Money  `json:"amount"`
}

// EventType implements [Payload].
func (PaymentCaptured) EventType() string { return "payments.captured" }

// PaymentCancelRequested: the order ended unpaid. With Force an existing authorization is cancelled too. Without Force it is
// reported as authorized, because the shopper paid at the last moment and may still get the goods.
type PaymentCancelRequested struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id"`
	Force     bool   `json:"force"`
	Reason    string `json:"reason"`
}

// EventType implements [Payload].
func (PaymentCancelRequested) EventType() string { return "payments.cancel_requested" }

// PaymentCancelled: nothing was captured with this PaymentIntent, and nothing will be.
type PaymentCancelled struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent,omitempty"`
	Reason        string `json:"reason,omitempty"`
}

// EventType implements [Payload].
func (PaymentCancelled) EventType() string { return "payments.cancelled" }

// PaymentFailed: Stripe refused to create the payment, permanently.
type PaymentFailed struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id"`
	Code      string `json:"code"`
	Message   string `json:"message"`
}

// EventType implements [Payload].
func (PaymentFailed) EventType() string { return "payments.failed" }

// PaymentRefundRequested: an amount is to be refunded. RefundID is the shop's, and the refund at Stripe has it too.
type PaymentRefundRequested struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id"`
	RefundID  string `json:"refund_id"`
	Amount    Money  `json:"amount"`
	Reason    string `json:"reason"`
}

// EventType implements [Payload].
func (PaymentRefundRequested) EventType() string { return "payments.refund_requested" }

// PaymentRefunded: Stripe refunded an amount.
type PaymentRefunded struct {
	OrderID      string `json:"order_id"`
	PaymentID    string `json:"payment_id"`
	RefundID     string `json:"refund_id"` // the shop's id; Stripe's for a refund that was made in Stripe's dashboard
	StripeRefund string `json:"stripe_refund"`
	Charge       string `json:"charge,omitempty"`
	Amount       Money  `json:"amount"`
}

// EventType implements [Payload].
func (PaymentRefunded) EventType() string { return "payments.refunded" }

// PaymentRefundFailed: an amount could not be refunded. Staff must look at it.
type PaymentRefundFailed struct {
	OrderID      string `json:"order_id"`
	PaymentID    string `json:"payment_id"`
	RefundID     string `json:"refund_id"`
	StripeRefund string `json:"stripe_refund,omitempty"`
	Amount       Money  `json:"amount"`
	Reason       string `json:"reason"`
}

// EventType implements [Payload].
func (PaymentRefundFailed) EventType() string { return "payments.refund_failed" }

// WebhookReceived: Stripe posted an event. Its signature is checked and its client secrets are removed; the body is otherwise
// unchanged.
type WebhookReceived struct {
	StripeEvent string         `json:"stripe_event"` // evt_…
	StripeType  string         `json:"stripe_type"`  // such as "payment_intent.succeeded"
	APIVersion  string         `json:"api_version"`
	Livemode    bool           `json:"livemode"`
	Via         string         `json:"via"` // "webhook" or "reconciler"
	Body        jsontext.Value `json:"body"`
}

// EventType implements [Payload].
func (WebhookReceived) EventType() string { return "payments.webhook_received" }
