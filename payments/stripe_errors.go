package payments

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/stripe/stripe-go/v76"
)

// classify turns an error of the SDK into a [GatewayError].
func classify(ctx context.Context, err error, operation string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", operation, ctx.Err())
	}
	var answer *stripe.Error
	if !errors.As(err, &answer) {
		// Without a complete answer the request may have been executed.
		return fmt.Errorf("%s: %w", operation, &GatewayError{Kind: ErrRetry, Unknown: true, Cause: err})
	}
	classified := &GatewayError{Status: answer.HTTPStatusCode, Code: string(answer.Code), DeclineCode: string(answer.DeclineCode),
		Message: answer.Msg, RequestID: answer.RequestID}
	classified.Kind, classified.Unknown = errorKind(answer.HTTPStatusCode)
	classified.KeyRefused = answer.HTTPStatusCode == http.StatusUnauthorized || answer.HTTPStatusCode == http.StatusForbidden
	if answer.Type == stripe.ErrorTypeIdempotency {
		// The key was used with other parameters, such as by an older release. The object exists, and the next attempt finds it.
		classified.Kind, classified.Unknown = ErrRetry, true
	}
	return fmt.Errorf("%s: %w", operation, classified)
}

// errorKind classifies an HTTP status. An order must not be rejected because of a fault elsewhere, so such a fault is retried: a
// refused key (401, 403) until staff replace it, a failed bank or network (424), a timeout of a proxy (408).
func errorKind(status int) (kind error, unknown bool) {
	switch {
	case status >= 500, status == http.StatusFailedDependency, status == http.StatusRequestTimeout:
		return ErrRetry, true
	case status == http.StatusTooManyRequests, status == http.StatusConflict,
		status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrRetry, false
	case status == http.StatusPaymentRequired:
		return ErrDeclined, false
	}
	return ErrPermanent, false
}
