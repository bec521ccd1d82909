package payments

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/stripe/stripe-go/v76"
)

// About is what an answer of Stripe is about, and so what happens next. Each operation has a table (see answersTo).
type About string

// What an answer can be about.
const (
	// AboutPayment answers are final for the payment, refund or object of the request: payments.failed or payments.refund_failed.
	AboutPayment About = "payment"
	// AboutState answers say that the object is in another state than the request needs. The object is looked up, and what Stripe
	// has is recorded. If it explains nothing, the request is tried once more and then becomes a dead letter.
	AboutState About = "state"
	// AboutKey answers say that the idempotency key was used for another request, such as by an older release. The object exists:
	// the next attempt looks it up.
	AboutKey About = "key"
	// AboutAccount answers concern every payment: the circuit of the lane opens, readiness and an alarm say so, and no payment fails.
	AboutAccount About = "account"
	// AboutNow answers are repeated with back-off under the same key, without a limit.
	AboutNow About = "now"
	// AboutRequest answers concern the request, or are not in the table of the operation. They are tried once more and then become a
	// dead letter: the payment waits for staff.
	AboutRequest About = "request"
)

// kinds has the kind of error for each answer.
var kinds = map[About]error{AboutPayment: ErrPermanent, AboutState: ErrPermanent, AboutKey: ErrRetry, AboutAccount: ErrRetry, AboutNow: ErrRetry, AboutRequest: ErrRequest}

// classify turns an error of the SDK into a [GatewayError] by the table of the operation. detail names the object.
func classify(ctx context.Context, err error, op operation, detail string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s %s: %w", op, detail, ctx.Err())
	}
	return fmt.Errorf("%s %s: %w", op, detail, gatewayError(err, op))
}

func gatewayError(err error, op operation) *GatewayError {
	var answer *stripe.Error
	var unsent *unsentError
	var foreign *foreignAnswerError
	switch {
	case errors.As(err, &unsent):
		return &GatewayError{Kind: ErrRetry, Circuit: errors.Is(unsent, ErrCircuitOpen), Cause: unsent}
	case errors.As(err, &foreign):
		return &GatewayError{Kind: ErrRetry, Unknown: true, Status: foreign.status, Cause: foreign}
	case !errors.As(err, &answer):
		return &GatewayError{Kind: ErrRetry, Unknown: true, Cause: err} // without a complete answer the request may have been executed
	}
	about := op.about(answer)
	classified := &GatewayError{Kind: kinds[about], About: about, Status: answer.HTTPStatusCode, Code: string(answer.Code), DeclineCode: string(answer.DeclineCode),
		Message: answer.Msg, RequestID: answer.RequestID}
	classified.Unknown = about == AboutKey || maybeExecuted(answer.HTTPStatusCode)
	if about == AboutPayment && isCardError(answer) {
		classified.Kind = ErrDeclined
	}
	return classified
}

// maybeExecuted reports whether a request with this status may have been executed: the server failed, a bank or network did (424), or a
// proxy gave up (408).
func maybeExecuted(status int) bool {
	return status >= http.StatusInternalServerError || status == http.StatusFailedDependency || status == http.StatusRequestTimeout
}

func isCardError(answer *stripe.Error) bool {
	return answer.Type == stripe.ErrorTypeCard || answer.HTTPStatusCode == http.StatusPaymentRequired
}

// Types of errors that Stripe's documentation names (docs.stripe.com/error-handling) and the SDK has no constants for.
const (
	errorTypeAuthentication stripe.ErrorType = "authentication_error"
	errorTypeConnection     stripe.ErrorType = "api_connection_error"
	errorTypePermission     stripe.ErrorType = "permission_error"
	errorTypeRateLimit      stripe.ErrorType = "rate_limit_error"
)

// about returns what an answer is about: first by the status, where that alone decides, then by the code in the table, and for an answer
// without a code that the table has by its type.
func (op operation) about(answer *stripe.Error) About {
	status := answer.HTTPStatusCode
	switch {
	case maybeExecuted(status), status == http.StatusTooManyRequests, status == http.StatusConflict:
		return AboutNow // an order must not be rejected because of a fault elsewhere
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return AboutAccount
	case answer.Type == stripe.ErrorTypeIdempotency && answer.Code != stripe.ErrorCodeIdempotencyKeyInUse:
		return AboutKey
	}
	table := answersTo[op]
	if about, listed := table.listed(answer.Code); listed {
		return about
	}
	switch {
	case answer.Type == errorTypeAuthentication, answer.Type == errorTypePermission:
		return AboutAccount
	case answer.Type == errorTypeRateLimit, answer.Type == errorTypeConnection, answer.Type == stripe.ErrorTypeAPI:
		return AboutNow
	case isCardError(answer):
		return table.declined
	case answer.Code == "" && table.params[answer.Param] != "":
		return table.params[answer.Param]
	case answer.Code == "" && status == http.StatusNotFound:
		about, _ := table.listed(stripe.ErrorCodeResourceMissing)
		return about
	}
	return table.unlisted
}
