package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// reply is the answer to a request; replayed is set if it was already stored under the idempotency key.
type reply struct {
	Answer
	replayed bool
}

// refused returns the answer for a problem. It includes the part of the problem's intent that the caller may read.
func (s *Server) refused(c *call, problem *apiError) Answer {
	if problem.intent != nil {
		problem.PaymentIntent = c.visible(problem.intent)
	}
	body, err := problem.body()
	if err != nil {
		s.config.Logger.Error("encode sandbox error", "request", c.id, "error", err)
		return Answer{Status: http.StatusInternalServerError, Body: []byte(`{"error":{"type":"api_error","message":"error cannot be encoded"}}`)}
	}
	return Answer{Status: problem.status, Body: body}
}

// write sends the reply.
func (c *call) write(w http.ResponseWriter, r reply) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(r.Body)))
	h.Set("Cache-Control", "no-store")
	h.Set("Request-Id", c.id)
	h.Set("Stripe-Version", APIVersion)
	if c.key != "" {
		h.Set("Idempotency-Key", c.key)
	}
	if r.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
	w.WriteHeader(r.Status)
	_, err := w.Write(r.Body)
	return err
}

// encode encodes the result of an operation. If the result is an object that the transaction has put, encode returns the bytes
// that were put, and their span.
func (c *call) encode(t *tx, v any) (body []byte, known span, err error) {
	if in, ok := v.(*intent); ok && (c.public || c.expands("latest_charge")) {
		v = c.expanded(t, in)
	}
	if body, known, ok := t.state(v); ok {
		return body, known, nil
	}
	body, err = json.Marshal(v)
	return body, span{}, err
}

// The error types of Stripe's API that the sandbox uses.
const (
	typeCard        = "card_error"
	typeRequest     = "invalid_request_error"
	typeIdempotency = "idempotency_error"
	typeAPI         = "api_error"
)

// apiError is the answer to a refused request. It is encoded as {"error": {...}}.
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
	// unstored marks a refusal before any work began. Stripe does not store it under the idempotency key, so a corrected
	// request may use the key again.
	unstored bool
	intent   *intent // its visible part becomes PaymentIntent
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

// invalid refuses a parameter before any work has begun.
func invalid(param, code, format string, args ...any) *apiError {
	return &apiError{
		Type: typeRequest, Code: code, Param: param, Message: fmt.Sprintf(format, args...),
		status: http.StatusBadRequest, unstored: true,
	}
}

// missing refuses a request without a required parameter.
func missing(param string) *apiError {
	return invalid(param, "parameter_missing", "Missing required param: %s.", param)
}

// notFound refuses a request for an object that does not exist.
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

// declined refuses an attempt that the bank declined.
func declined(in *intent, d decline, chargeID string, method *paymentMethod) *apiError {
	return &apiError{
		Type: typeCard, Code: d.code, DeclineCode: d.declineCode, DocURL: docURL(d.code), Message: d.message,
		Charge: chargeID, PaymentMethod: method, status: http.StatusPaymentRequired, intent: in,
	}
}

// docURL returns Stripe's page about an error code.
func docURL(code string) string {
	return "https://stripe.com/docs/error-codes/" + strings.ReplaceAll(code, "_", "-")
}

// unauthorized refuses a request whose key is missing, wrong or not sufficient.
func unauthorized(code, format string, args ...any) *apiError {
	return &apiError{
		Type: typeRequest, Code: code, Message: fmt.Sprintf(format, args...),
		status: http.StatusUnauthorized, unstored: true,
	}
}

// internalError answers a failure of the sandbox, whose cause is in the log.
func internalError() *apiError {
	return &apiError{
		Type: typeAPI, Message: "An unexpected error occurred in the sandbox; its log has the cause.",
		status: http.StatusInternalServerError,
	}
}

// unknownRoute refuses a request for a path or method that the sandbox does not have.
func unknownRoute(r *http.Request) *apiError {
	e := invalid("", "", "Unrecognized request URL (%s: %s).", r.Method, r.URL.Path)
	e.status = http.StatusNotFound
	return e
}

// internalError logs a failure of the sandbox and returns the answer 500.
func (t *tx) internalError(err error) *apiError {
	t.server.config.Logger.Error("sandbox request", "request", t.call.id, "path", t.call.path, "error", err)
	return internalError()
}

// text is a string that Stripe shows as null when there is none.
type text string

// MarshalJSON implements json.Marshaler.
func (t text) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(t))
}

// number is an amount or a time that Stripe shows as null when there is none.
type number int64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if n == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(int64(n))
}

// absent is a property that the sandbox never fills.
type absent *struct{}

// empty is an object that the sandbox leaves empty.
type empty struct{}

// address is a postal address as Stripe shows it.
type address struct {
	City       text `json:"city"`
	Country    text `json:"country"`
	Line1      text `json:"line1"`
	Line2      text `json:"line2"`
	PostalCode text `json:"postal_code"`
	State      text `json:"state"`
}

// shipping is the delivery address.
type shipping struct {
	Address        address `json:"address"`
	Carrier        text    `json:"carrier"`
	Name           text    `json:"name"`
	Phone          text    `json:"phone"`
	TrackingNumber text    `json:"tracking_number"`
}

func readShipping(f form) *shipping {
	if !f.hasNested("shipping") {
		return nil
	}
	at := func(name string) text { return text(f["shipping["+name+"]"]) }
	in := func(name string) text { return text(f["shipping[address]["+name+"]"]) }
	return &shipping{
		Address: address{
			City: in("city"), Country: in("country"), Line1: in("line1"), Line2: in("line2"),
			PostalCode: in("postal_code"), State: in("state"),
		},
		Carrier: at("carrier"), Name: at("name"), Phone: at("phone"), TrackingNumber: at("tracking_number"),
	}
}
