package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
)

// IntentStatus is the status of a PaymentIntent, as Stripe names it.
type IntentStatus string

// The statuses of a PaymentIntent (API version 2023-10-16).
const (
	IntentRequiresPaymentMethod IntentStatus = "requires_payment_method"
	IntentRequiresConfirmation  IntentStatus = "requires_confirmation"
	IntentRequiresAction        IntentStatus = "requires_action"
	IntentProcessing            IntentStatus = "processing"
	IntentRequiresCapture       IntentStatus = "requires_capture"
	IntentSucceeded             IntentStatus = "succeeded"
	IntentCanceled              IntentStatus = "canceled"
)

// Intent is the state of a PaymentIntent when it was retrieved, or when Stripe created the webhook that contains it.
type Intent struct {
	ID           string
	PaymentID    string // from its metadata; "" for an intent that the shop did not create
	OrderID      string // from its metadata
	Amount       events.Money
	Capturable   int64 // authorized and not captured, minor units
	Received     int64 // captured, minor units
	Status       IntentStatus
	Livemode     bool
	Charge       string
	Method       string // type of the payment method at Stripe; "" if the answer does not tell
	Cancellation string // reason of the cancellation

	CaptureBefore time.Time // when the authorization expires; zero if Stripe has not said so
	Multicapture  bool      // parts of the authorization can be captured one after the other

	LastError    *Attempt // the last attempt if it failed, else nil
	ClientSecret string   // for the shopper's browser alone; never stored or logged
}

// Attempt is a failed attempt to pay.
type Attempt struct {
	Decline
	Fact string // id of the Stripe object that failed; an attempt without one ("") is not counted
}

// RefundStatus is the status of a refund, as Stripe names it.
type RefundStatus string

// The statuses of a refund (API version 2023-10-16).
const (
	RefundPending        RefundStatus = "pending"
	RefundRequiresAction RefundStatus = "requires_action"
	RefundSucceeded      RefundStatus = "succeeded"
	RefundFailed         RefundStatus = "failed"
	RefundCanceled       RefundStatus = "canceled"
)

// StripeRefund is a refund at Stripe.
type StripeRefund struct {
	ID       string
	RefundID string // the shop's id, from its metadata; "" for a refund made in Stripe's dashboard
	Charge   string
	Amount   events.Money
	Status   RefundStatus
	Failure  string // reason of the failure
	Release  bool   // no money has moved: a part of an authorization that was not captured was released
}

// RawEvent is an entry of Stripe's event list, in the version of Stripe's API that the account had when the event happened. Its body is
// that of a webhook.
type RawEvent struct {
	ID      string    // "" if it cannot be read
	Created time.Time // by Stripe's clock; in 1970 if it cannot be read
	Body    json.RawMessage
}

// Gateway is the part of Stripe's API that payments uses. Every call ends within the HTTP timeout and returns [ErrDeclined],
// [ErrPermanent], [ErrRequest], [ErrRetry], or the error of the context.
type Gateway interface {
	// CreateIntent creates the PaymentIntent of a payment, captured as Payment.Capture says. Repeating it within 24 hours returns
	// the same.
	CreateIntent(ctx context.Context, p Payment) (Intent, error)
	// RetrieveIntent returns the intent as it is now, with what its charge tells about the authorization.
	RetrieveIntent(ctx context.Context, id string) (Intent, error)
	// FindIntent searches for the intent of a payment by its metadata. Stripe's index may be a minute behind. For an account that
	// may not search, it lists the intents since the payment was requested.
	FindIntent(ctx context.Context, p Payment) (in Intent, found bool, err error)
	// Capture captures a part of the authorized amount, or all of it. Repeating it within 24 hours has no further effect.
	Capture(ctx context.Context, p Payment, part Part) (Intent, error)
	// Cancel cancels the intent and releases an authorization.
	Cancel(ctx context.Context, p Payment) (Intent, error)
	// Refund makes a refund. Repeating it with the same refund id within 24 hours has no further effect.
	Refund(ctx context.Context, p Payment, refundID string, amount events.Money) (StripeRefund, error)
	// ListRefunds returns all refunds of an intent.
	ListRefunds(ctx context.Context, intent string) ([]StripeRefund, error)
	// RetrieveDispute returns the dispute as it is now.
	RetrieveDispute(ctx context.Context, id string) (StripeDispute, error)
	Bookkeeping
	// ListEvents calls fn for the events of some types, created within [since, until], newest first.
	ListEvents(ctx context.Context, since, until time.Time, types []string, fn func(RawEvent) error) error
}

// Kinds of errors of a [Gateway]. The table of each operation says which answer of Stripe is of which kind (see [About]).
var (
	// ErrDeclined is returned when the bank declines the payment.
	ErrDeclined = errors.New("declined")
	// ErrPermanent is returned when Stripe refuses the request because of the object that it names, and would refuse it again.
	ErrPermanent = errors.New("refused by Stripe")
	// ErrRequest is returned when Stripe refuses the request for a reason that is not the payment's, such as a parameter that the
	// account's API version does not know, or for a reason that this program does not know. No payment or refund fails because of it:
	// it is tried once more and then becomes a dead letter, which staff redrive when the reason is gone.
	ErrRequest = errors.New("request not accepted by Stripe")
	// ErrRetry is returned when Stripe cannot be reached, limits the rate, or refuses the account. A later attempt may succeed.
	ErrRetry = errors.New("temporary failure")
	// ErrAccount is wrapped together with [ErrRetry] when Stripe refuses the API key or the account. No request succeeds until staff
	// act.
	ErrAccount = errors.New("account or key refused by Stripe")
	// ErrOutcomeUnknown is wrapped together with [ErrRetry] when Stripe may have executed the request.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// GatewayError is an error of Stripe with its kind. Its text may be shown to staff.
type GatewayError struct {
	Kind        error  // ErrDeclined, ErrPermanent, ErrRequest or ErrRetry
	About       About  // what the answer is about, by the table of the operation; "" when Stripe did not answer
	Unknown     bool   // Stripe may have executed the request
	Circuit     bool   // the request was not sent, because the circuit breaker is open
	Status      int    // of HTTP; 0 when there was no answer
	Code        string // Stripe's, such as "amount_too_small"
	DeclineCode string
	Message     string
	RequestID   string
	Cause       error // of the transport
}

// Error implements error.
func (e *GatewayError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%v: %v", e.Kind, e.Cause)
	}
	return fmt.Sprintf("%v: HTTP %d %s: %s (request %s)", e.Kind, e.Status, e.Code, e.Message, e.RequestID)
}

// Unwrap makes the kinds visible to errors.Is. Cause is in the text but not unwrapped: otherwise a timeout of a call to Stripe
// would be taken for a timeout of the log.
func (e *GatewayError) Unwrap() []error {
	kinds := []error{e.Kind}
	if e.Unknown {
		kinds = append(kinds, ErrOutcomeUnknown)
	}
	if e.About == AboutAccount {
		kinds = append(kinds, ErrAccount)
	}
	if e.Circuit {
		kinds = append(kinds, ErrCircuitOpen)
	}
	return kinds
}
