package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
)

// Kind is the failure category of a purchase. Besides the constants below, a category is a step and its outcome, such as
// "place_5xx", "payment_timeout" or "pay_4xx", or the final state of an order, such as "expired".
type Kind string

// Categories that do not follow from a step.
const (
	BadAnswer         Kind = "bad_answer"            // an answer does not conform to the API
	ConnectionLost    Kind = "connection_lost"       // a connection broke and retries did not help
	ConnectionRefused Kind = "connection_refused"    // no server listens at the address
	Declined          Kind = "declined"              // the card was declined
	Interrupted       Kind = "interrupted"           // the run was cancelled
	NotConfirmed      Kind = "not_confirmed"         // the order reached no final state in time
	NotRecorded       Kind = "not_recorded"          // the list of acknowledged orders could not be written
	OutOfStock        Kind = "rejected_out_of_stock" // another shopper bought the last units; not a fault of the shop
	TwoOrders         Kind = "two_orders"            // one Idempotency-Key gave two orders
)

// Failure is the reason why a purchase was not confirmed.
type Failure struct {
	Kind Kind
	Err  error
}

func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Kind, f.Err) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// ErrBadAnswer is returned when an answer does not conform to the API.
var ErrBadAnswer = errors.New("unexpected answer")

// step is a part of a purchase that can fail.
type step string

const (
	stepPlace   step = "place"
	stepPayment step = "payment" // get the payment from the shop
	stepPay     step = "pay"     // pay at Stripe
	stepCancel  step = "cancel"
	stepFollow  step = "follow"
	stepRefund  step = "refund" // in Stripe's dashboard
)

// isKind reports whether an error is a failure of a category.
func isKind(err error, kind Kind) bool {
	var failure *Failure
	return errors.As(err, &failure) && failure.Kind == kind
}

// failed wraps an error in a [Failure]; nil and failures are returned unchanged.
func failed(s step, err error) error {
	var failure *Failure
	if err == nil || errors.As(err, &failure) {
		return err
	}
	return &Failure{Kind: kindOf(s, err), Err: err}
}

func kindOf(s step, err error) Kind {
	var refusal *StatusError
	switch {
	case errors.As(err, &refusal) && s == stepPay && refusal.Status == http.StatusPaymentRequired:
		return Declined
	case errors.As(err, &refusal):
		return Kind(fmt.Sprintf("%s_%dxx", s, refusal.Status/100))
	case errors.Is(err, context.DeadlineExceeded):
		return Kind(s + "_timeout")
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.Is(err, ErrBadAnswer):
		return BadAnswer
	case errors.Is(err, syscall.ECONNREFUSED):
		return ConnectionRefused
	}
	return ConnectionLost
}
