package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tillstream/events"
)

// IntentStatus is where a PaymentIntent stands, in Stripe's words.
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

// Intent is a PaymentIntent as it was at some moment: retrieved, or as the snapshot in an event.
type Intent struct {
	ID           string
	PaymentID    string // from its metadata; "" when it is not one of ours
	OrderID      string // the same
	Amount       events.Money
	Capturable   int64 // authorised and not captured, minor units
	Received     int64 // captured, minor units
	Status       IntentStatus
	Livemode     bool
	Charge       string
	Cancellation string   // why it was cancelled
	LastError    *Attempt // why the last attempt failed; nil when it did not
	ClientSecret string   // for the shopper's browser; never leaves the process otherwise
}

// Attempt is a failed attempt to pay.
type Attempt struct {
	Decline
	Fact string // the Stripe object that says so; "" when none does, and then it is not counted
}

// RefundStatus is where a refund stands, in Stripe's words.
type RefundStatus string

// The statuses of a refund (API version 2023-10-16).
const (
	RefundPending        RefundStatus = "pending"
	RefundRequiresAction RefundStatus = "requires_action"
	RefundSucceeded      RefundStatus = "succeeded"
	RefundFailed         RefundStatus = "failed"
	RefundCanceled       RefundStatus = "canceled"
)

// StripeRefund is a refund as Stripe knows it.
type StripeRefund struct {
	ID       string
	RefundID string // ours, from its metadata; "" when it was made elsewhere
	Charge   string
	Amount   events.Money
	Status   RefundStatus
	Failure  string // why it failed
}

// RawEvent is an event of Stripe's event list, as it would have been posted.
type RawEvent struct {
	ID      string
	Created time.Time // by Stripe's clock
	Body    json.RawMessage
}

// Gateway is what the payments domain needs of Stripe. Every call takes as long as the HTTP timeout at most.
// Errors are one of [ErrDeclined], [ErrPermanent], [ErrRetry], or the context's own.
type Gateway interface {
	// CreateIntent makes the order's one PaymentIntent, to be captured by hand. Repeating it within 24 hours returns the same.
	CreateIntent(ctx context.Context, p Payment) (Intent, error)
	// RetrieveIntent returns the intent as it is now.
	RetrieveIntent(ctx context.Context, id string) (Intent, error)
	// FindIntent looks the order's intent up by its metadata. Stripe's index may be a minute behind.
	FindIntent(ctx context.Context, paymentID string) (in Intent, found bool, err error)
	// Capture takes the authorised amount. Repeating it within 24 hours has no further effect.
	Capture(ctx context.Context, p Payment) (Intent, error)
	// Cancel gives the intent up and lets go of an authorisation.
	Cancel(ctx context.Context, p Payment) (Intent, error)
	// Refund sends money back. Repeating it with the same refund id within 24 hours has no further effect.
	Refund(ctx context.Context, p Payment, refundID string, amount events.Money) (StripeRefund, error)
	// ListRefunds returns all refunds of an intent.
	ListRefunds(ctx context.Context, intent string) ([]StripeRefund, error)
	// ListEvents calls fn for the events of some types, created within [since, until], newest first.
	ListEvents(ctx context.Context, since, until time.Time, types []string, fn func(RawEvent) error) error
}

// Kinds of errors of a [Gateway].
var (
	// ErrDeclined is returned when the bank said no.
	ErrDeclined = errors.New("declined")
	// ErrPermanent is returned when Stripe refuses the request, and would again.
	ErrPermanent = errors.New("refused by Stripe")
	// ErrRetry is returned when Stripe is busy, away, or not to be reached with our key: the request itself may be good.
	ErrRetry = errors.New("try again")
	// ErrKeyRefused accompanies [ErrRetry] when Stripe refuses our key, so that no request can succeed before staff mend it.
	ErrKeyRefused = errors.New("key refused by Stripe")
	// ErrOutcomeUnknown accompanies [ErrRetry] when the request may have been carried out all the same.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// GatewayError is an error answer, sorted. It carries what may be shown to staff.
type GatewayError struct {
	Kind        error  // ErrDeclined, ErrPermanent or ErrRetry
	Unknown     bool   // the request may have been carried out
	KeyRefused  bool   // no request is carried out with our key
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

// Unwrap makes the kinds visible to errors.Is. The cause is told and not unwrapped: a deadline that passed on the way to
// Stripe would look like one of the log's, for which Stripe is not to blame.
func (e *GatewayError) Unwrap() []error {
	kinds := []error{e.Kind}
	if e.Unknown {
		kinds = append(kinds, ErrOutcomeUnknown)
	}
	if e.KeyRefused {
		kinds = append(kinds, ErrKeyRefused)
	}
	return kinds
}
