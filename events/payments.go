package events

import (
	"time"

	"github.com/google/uuid"

	"github.com/go-json-experiment/json/jsontext"
)

// paymentSpace is the namespace of the payments' ids (RFC 9562 §5.5).
var paymentSpace = uuid.MustParse("7b1e6c0a-52ff-5c31-9d53-0f0d6a1c6f7e")

// FirstPaymentID returns the id of the payment that an order asks for first. It follows from the order's id, so no index is needed
// to find the payment of an order.
func FirstPaymentID(orderID string) string {
	return uuid.NewSHA1(paymentSpace, []byte(orderID+"/1")).String()
}

// PaymentRequested: an order wants Amount; a PaymentIntent is to be made. It is the first event of a payment.
type PaymentRequested struct {
	OrderID   string    `json:"order_id"`
	PaymentID string    `json:"payment_id"`
	Number    string    `json:"number"`
	Amount    Money     `json:"amount"`
	ExpiresAt time.Time `json:"expires_at"`
}

// EventType implements [Payload].
func (PaymentRequested) EventType() string { return "payments.requested" }

// PaymentIntentCreated: Stripe knows the payment under this id. Its client secret is not here and never in the log.
type PaymentIntentCreated struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Amount        Money  `json:"amount"`
	Livemode      bool   `json:"livemode"`
}

// EventType implements [Payload].
func (PaymentIntentCreated) EventType() string { return "payments.intent_created" }

// PaymentActionRequired: the bank asks the shopper something (3-D Secure).
type PaymentActionRequired struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
}

// EventType implements [Payload].
func (PaymentActionRequired) EventType() string { return "payments.action_required" }

// PaymentProcessing: the bank takes its time.
type PaymentProcessing struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
}

// EventType implements [Payload].
func (PaymentProcessing) EventType() string { return "payments.processing" }

// PaymentDeclined: one attempt failed; the shopper may try another card.
type PaymentDeclined struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Fact          string `json:"fact"` // the Stripe object that says so (charge, else event), so that it counts once
	Code          string `json:"code"`
	DeclineCode   string `json:"decline_code,omitempty"`
	Message       string `json:"message"`
}

// EventType implements [Payload].
func (PaymentDeclined) EventType() string { return "payments.declined" }

// PaymentAuthorized: the money is reserved on the shopper's card and can be captured.
type PaymentAuthorized struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Charge        string `json:"charge,omitempty"`
	Amount        Money  `json:"amount"`
}

// EventType implements [Payload].
func (PaymentAuthorized) EventType() string { return "payments.authorized" }

// PaymentCaptured: the money is ours.
type PaymentCaptured struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Charge        string `json:"charge,omitempty"`
	Amount        Money  `json:"amount"`
}

// EventType implements [Payload].
func (PaymentCaptured) EventType() string { return "payments.captured" }

// PaymentCancelRequested: the order ended unpaid. With Force an authorisation that is already there is voided as well;
// without, it is reported as authorised, because the shopper paid in the last moment and may still get the goods.
type PaymentCancelRequested struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id"`
	Force     bool   `json:"force"`
	Reason    string `json:"reason"`
}

// EventType implements [Payload].
func (PaymentCancelRequested) EventType() string { return "payments.cancel_requested" }

// PaymentCancelled: nothing was and nothing will be taken under this intent.
type PaymentCancelled struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent,omitempty"`
	Reason        string `json:"reason,omitempty"`
}

// EventType implements [Payload].
func (PaymentCancelled) EventType() string { return "payments.cancelled" }

// PaymentFailed: Stripe refuses to take this payment up, for good.
type PaymentFailed struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id"`
	Code      string `json:"code"`
	Message   string `json:"message"`
}

// EventType implements [Payload].
func (PaymentFailed) EventType() string { return "payments.failed" }

// PaymentRefundRequested: money is to go back. RefundID is ours and names the refund at Stripe too.
type PaymentRefundRequested struct {
	OrderID   string `json:"order_id"`
	PaymentID string `json:"payment_id"`
	RefundID  string `json:"refund_id"`
	Amount    Money  `json:"amount"`
	Reason    string `json:"reason"`
}

// EventType implements [Payload].
func (PaymentRefundRequested) EventType() string { return "payments.refund_requested" }

// PaymentRefunded: Stripe sent the money back.
type PaymentRefunded struct {
	OrderID      string `json:"order_id"`
	PaymentID    string `json:"payment_id"`
	RefundID     string `json:"refund_id"` // ours; Stripe's id when it was made in Stripe's dashboard
	StripeRefund string `json:"stripe_refund"`
	Charge       string `json:"charge,omitempty"`
	Amount       Money  `json:"amount"`
}

// EventType implements [Payload].
func (PaymentRefunded) EventType() string { return "payments.refunded" }

// PaymentRefundFailed: the money could not be sent back; staff must look.
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

// WebhookReceived: what Stripe posted, signature checked, client secrets cut out, otherwise as received.
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
