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
	Capture   string    `json:"capture,omitempty"` // one of the Capture constants; "" in events of older releases: CaptureAtConfirmation
	Methods   []string  `json:"methods,omitempty"` // Stripe's types of payment methods that the shopper may use; none: cards
}

// When the money of a payment is captured. The payment keeps the setting that the shop had when it was requested.
const (
	CaptureAutomatic      = "automatic"    // by Stripe, as soon as the shopper has paid
	CaptureAtConfirmation = "confirmation" // by the shop, when the order accepts the authorization
	CaptureAtFulfilment   = "fulfilment"   // by the shop, when goods are sent; until then the money is authorized
)

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

// PaymentProcessing: the bank is processing the payment. With some methods, such as sepa_debit, this takes days.
type PaymentProcessing struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Method        string `json:"method,omitempty"` // Stripe's type of the payment method, such as "sepa_debit"; "" if unknown
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

// PaymentAuthorized: the amount is authorized on the shopper's card and can be captured. With [CaptureAtFulfilment] the shop has
// checked it at Stripe, and it confirms the order.
type PaymentAuthorized struct {
	OrderID       string    `json:"order_id"`
	PaymentID     string    `json:"payment_id"`
	PaymentIntent string    `json:"payment_intent"`
	Charge        string    `json:"charge,omitempty"`
	Amount        Money     `json:"amount"`
	Capture       string    `json:"capture,omitempty"`     // as in [PaymentRequested]
	ExpiresAt     time.Time `json:"expires_at,omitzero"`   // when the bank releases the amount; zero if unknown
	Multicapture  bool      `json:"multicapture,omitzero"` // Stripe captures parts of it one after the other
}

// EventType implements [Payload].
func (PaymentAuthorized) EventType() string { return "payments.authorized" }

// PaymentCaptured: Amount is captured so far, in all captures together. Without More the rest of the authorization is released.
type PaymentCaptured struct {
	OrderID       string `json:"order_id"`
	PaymentID     string `json:"payment_id"`
	PaymentIntent string `json:"payment_intent"`
	Charge        string `json:"charge,omitempty"`
	Amount        Money  `json:"amount"`
	More          bool   `json:"more,omitzero"` // the rest of the authorization can still be captured
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
	Replaces  string `json:"replaces,omitempty"` // the failed refund that this one makes good
}

// EventType implements [Payload].
func (PaymentRefundRequested) EventType() string { return "payments.refund_requested" }

// PaymentRefundPending: Stripe has accepted a refund, and the bank has not paid it yet.
type PaymentRefundPending struct {
	OrderID      string `json:"order_id"`
	PaymentID    string `json:"payment_id"`
	RefundID     string `json:"refund_id"` // as in [PaymentRefunded]
	StripeRefund string `json:"stripe_refund"`
	Charge       string `json:"charge,omitempty"`
	Amount       Money  `json:"amount"`
}

// EventType implements [Payload].
func (PaymentRefundPending) EventType() string { return "payments.refund_pending" }

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

// PaymentRefundFailed: an amount could not be refunded, or the bank has returned it days after a [PaymentRefunded]. Staff must look
// at it.
type PaymentRefundFailed struct {
	OrderID      string `json:"order_id"`
	PaymentID    string `json:"payment_id"`
	RefundID     string `json:"refund_id"`
	StripeRefund string `json:"stripe_refund,omitempty"`
	Amount       Money  `json:"amount"`
	Reason       string `json:"reason"`
	Replaces     string `json:"replaces,omitempty"` // as in [PaymentRefundRequested], for a refund that could not be requested
}

// EventType implements [Payload].
func (PaymentRefundFailed) EventType() string { return "payments.refund_failed" }

// The statuses of a dispute, as Stripe names them (docs.stripe.com/api/disputes/object, API version 2023-10-16). A warning is an
// inquiry of the bank: no money has moved.
const (
	DisputeWarningNeedsResponse = "warning_needs_response"
	DisputeWarningUnderReview   = "warning_under_review"
	DisputeWarningClosed        = "warning_closed"
	DisputeNeedsResponse        = "needs_response"
	DisputeUnderReview          = "under_review"
	DisputeWon                  = "won"
	DisputeLost                 = "lost"
)

// PaymentDisputeUpdated: the state of a dispute, as Stripe returned it. A dispute begins with the first such event.
type PaymentDisputeUpdated struct {
	OrderID     string    `json:"order_id"`
	PaymentID   string    `json:"payment_id"`
	Dispute     string    `json:"dispute"` // id at Stripe
	Charge      string    `json:"charge"`
	Status      string    `json:"status"` // one of the Dispute constants
	Reason      string    `json:"reason"` // Stripe's, such as "fraudulent"
	Amount      Money     `json:"amount"`
	EvidenceDue time.Time `json:"evidence_due,omitzero"`
	Withdrawn   Money     `json:"withdrawn,omitzero"` // that Stripe has taken from the account and not returned, without the fee; in the currency of the account
	Fee         Money     `json:"fee,omitzero"`       // in the currency of the account
	Bookings    int       `json:"bookings,omitzero"`  // how often Stripe has taken or returned money; it never decreases
}

// EventType implements [Payload].
func (PaymentDisputeUpdated) EventType() string { return "payments.dispute_updated" }

// PaymentBalanceRecorded: Stripe has booked a charge, a refund or a dispute of the payment on the shop's account. Amount, Fee and Net
// are in the currency in which the account is settled; Net = Amount - Fee.
type PaymentBalanceRecorded struct {
	OrderID     string    `json:"order_id"`
	PaymentID   string    `json:"payment_id"`
	Transaction string    `json:"transaction"` // txn_…
	Kind        string    `json:"kind"`        // Stripe's type, such as "charge", "refund" or "adjustment"
	Source      string    `json:"source"`      // id of the charge, refund or dispute
	Amount      Money     `json:"amount"`      // negative if it leaves the account
	Fee         Money     `json:"fee"`
	Net         Money     `json:"net"`
	CreatedAt   time.Time `json:"created_at"`
	AvailableOn time.Time `json:"available_on"` // when the net amount can be paid out
}

// EventType implements [Payload].
func (PaymentBalanceRecorded) EventType() string { return "payments.balance_recorded" }

// WebhookReceived: Stripe posted an event. Its signature is checked and its client secrets are removed. The body of one that names a
// payment or order of the shop is otherwise unchanged. Of every other the body is an outline in the same form: id, type, time, API
// version, mode, and in data.object id, type and, if Stripe must be asked whose it is, the id of the intent.
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
