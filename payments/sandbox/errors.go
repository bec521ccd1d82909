package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ErrClosed is returned when the server was closed before the operation.
var ErrClosed = errors.New("sandbox is closed")

// ErrJournal is returned by New when the journal on disk cannot be understood.
// It is never returned for a torn last line, which a killed process leaves.
var ErrJournal = errors.New("journal is damaged")

// The error types of Stripe's API that the sandbox speaks.
const (
	typeCard        = "card_error"
	typeRequest     = "invalid_request_error"
	typeIdempotency = "idempotency_error"
	typeAPI         = "api_error"
)

// apiError is an answer that says no. It is encoded as {"error": {...}}.
type apiError struct {
	Charge        string         `json:"charge,omitempty"`
	Code          string         `json:"code,omitempty"`
	DeclineCode   string         `json:"decline_code,omitempty"`
	DocURL        string         `json:"doc_url,omitempty"`
	Message       string         `json:"message"`
	Param         string         `json:"param,omitempty"`
	PaymentIntent any            `json:"payment_intent,omitempty"`
	PaymentMethod *paymentMethod `json:"payment_method,omitempty"`
	Type          string         `json:"type"`

	status int
	// unkept marks answers given before any work began: Stripe does not keep
	// those under the idempotency key, so a mended request may use it again.
	unkept bool
	intent *intent // encoded into PaymentIntent in the view the caller may see
}

// Error implements error.
func (e *apiError) Error() string {
	return fmt.Sprintf("%s %s: %s", e.Type, e.Code, e.Message)
}

// body encodes the error as Stripe's error envelope.
func (e *apiError) body() ([]byte, error) {
	return json.Marshal(struct {
		Error *apiError `json:"error"`
	}{e})
}

// invalid refuses a parameter before any work began.
func invalid(param, code, format string, args ...any) *apiError {
	return &apiError{
		Type: typeRequest, Code: code, Param: param, Message: fmt.Sprintf(format, args...),
		status: http.StatusBadRequest, unkept: true,
	}
}

// missing says that a required parameter was not sent.
func missing(param string) *apiError {
	return invalid(param, "parameter_missing", "Missing required param: %s.", param)
}

// notFound says that no object of that kind has the id.
func notFound(kind, param, id string) *apiError {
	e := invalid(param, "resource_missing", "No such %s: '%s'", kind, id)
	e.status = http.StatusNotFound
	return e
}

// unexpectedState refuses an operation that the intent's status does not allow.
func unexpectedState(in *intent, format string, args ...any) *apiError {
	return &apiError{
		Type: typeRequest, Code: "payment_intent_unexpected_state", Message: fmt.Sprintf(format, args...),
		status: http.StatusBadRequest, intent: in,
	}
}

// declined is the bank's no, told to whoever tried to pay.
func declined(in *intent, why refusal, chargeID string, method *paymentMethod) *apiError {
	return &apiError{
		Type: typeCard, Code: why.code, DeclineCode: why.declineCode, DocURL: docURL(why.code), Message: why.message,
		Charge: chargeID, PaymentMethod: method, status: http.StatusPaymentRequired, intent: in,
	}
}

// docURL is Stripe's page about an error code.
func docURL(code string) string {
	return "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(code, "_", "-")
}

// unauthorized refuses a caller whose key does not open this door.
func unauthorized(code, format string, args ...any) *apiError {
	return &apiError{
		Type: typeRequest, Code: code, Message: fmt.Sprintf(format, args...),
		status: http.StatusUnauthorized, unkept: true,
	}
}

// internalError hides a failure of the sandbox itself; the cause is logged.
func internalError() *apiError {
	return &apiError{
		Type: typeAPI, Message: "An unexpected error occurred in the sandbox; its log has the cause.",
		status: http.StatusInternalServerError,
	}
}
