package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
)

// Kind is what a purchase failed of. Beside the constants there are a step with what happened in it, such as
// "place_5xx", "payment_timeout" or "pay_4xx", and a state in which an order ended, such as "expired".
type Kind string

// Kinds that do not follow from a step.
const (
	BadAnswer         Kind = "bad_answer"            // the shop said something that is not its API
	ConnectionLost    Kind = "connection_lost"       // a connection broke and retrying did not help
	ConnectionRefused Kind = "connection_refused"    // nobody listens
	Declined          Kind = "declined"              // the card was
	Interrupted       Kind = "interrupted"           // the run was called off
	NotConfirmed      Kind = "not_confirmed"         // the order did not end in time
	NotRecorded       Kind = "not_recorded"          // the list of acknowledged orders could not be written
	OutOfStock        Kind = "rejected_out_of_stock" // somebody else was faster; no fault of the shop
	TwoOrders         Kind = "two_orders"            // one Idempotency-Key gave two orders
)

// Failure is why a purchase did not end confirmed.
type Failure struct {
	Kind Kind
	Err  error
}

func (f *Failure) Error() string { return fmt.Sprintf("%s: %v", f.Kind, f.Err) }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// ErrBadAnswer is returned when an answer is not what the API promises.
var ErrBadAnswer = errors.New("unexpected answer")

// step is a part of a purchase that can fail.
type step string

const (
	stepPlace   step = "place"
	stepPayment step = "payment" // learning how to pay
	stepPay     step = "pay"     // paying at Stripe
	stepCancel  step = "cancel"
	stepFollow  step = "follow"
)

// isKind reports whether an error is a failure of a kind.
func isKind(err error, kind Kind) bool {
	var known *Failure
	return errors.As(err, &known) && known.Kind == kind
}

// failed names the kind of an error; nil stays nil.
func failed(s step, err error) error {
	var known *Failure
	if err == nil || errors.As(err, &known) {
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
