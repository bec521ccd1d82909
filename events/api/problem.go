package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// Kind is the category of an error. The set is closed: every error of the shop belongs to one of these, and each has one
// HTTP status.
type Kind int

// The kinds of errors. An error that no table lists is Internal.
const (
	Internal     Kind = iota // a fault of the shop
	Malformed                // the request cannot be read
	Unauthorized             // the request needs a bearer token
	Declined                 // the bank declined the payment
	NotFound                 // the object does not exist, or the client may not see it
	Conflict                 // the state of the object does not allow the request
	Invalid                  // the request can be read, but not accepted
	Unavailable              // the same request may succeed later
)

var statusOf = map[Kind]int{
	Internal:     http.StatusInternalServerError,
	Malformed:    http.StatusBadRequest,
	Unauthorized: http.StatusUnauthorized,
	Declined:     http.StatusPaymentRequired,
	NotFound:     http.StatusNotFound,
	Conflict:     http.StatusConflict,
	Invalid:      http.StatusUnprocessableEntity,
	Unavailable:  http.StatusServiceUnavailable,
}

// Details that clients get instead of a cause that is for operators.
const (
	detailInternal    = "Something went wrong on our side. Please try again later."
	detailUnavailable = "The shop cannot answer right now. Please try again in a moment."
	detailInvalid     = "Some fields cannot be accepted. Please correct them and send the request again."
)

// retryAfter is how many seconds a client waits before it repeats a request that got 503.
const retryAfter = "1"

// Problem is the answer to an error.
type Problem struct {
	Err      error // compared with errors.Is
	Kind     Kind
	Detail   string // for the client; default: the text of the error, or a general sentence for Internal and Unavailable
	Location string // the part of the request that is at fault, such as "path.sku"; it is answered with the error's text
}

// common lists the errors that are in every table.
var common = []Problem{
	{Err: eventlog.ErrUnavailable, Kind: Unavailable},
	{Err: eventlog.ErrUnreadable, Kind: Unavailable},
	{Err: eventlog.ErrContention, Kind: Unavailable},
	{Err: eventlog.ErrTruncated, Kind: Unavailable},
	{Err: eventlog.ErrUpgradeInProgress, Kind: Unavailable},
	{Err: context.DeadlineExceeded, Kind: Unavailable},
	{Err: ErrBadCursor, Kind: Malformed, Detail: "The cursor is not valid. Please start again from the first page."},
}

// Problems translate the errors of one API into answers, once, at its edge. The first entry of the table that matches decides;
// after the table come the common errors.
type Problems struct {
	Logger *slog.Logger
	Table  []Problem
}

// Answer returns the answer to an error: a problem document (RFC 9457) with the status of its kind. Causes that are not for
// clients are logged.
func (p Problems) Answer(ctx context.Context, err error) error {
	var invalid *events.InvalidError
	if errors.As(err, &invalid) {
		return answerInvalid(invalid)
	}
	for _, table := range [][]Problem{p.Table, common} {
		for _, problem := range table {
			if errors.Is(err, problem.Err) {
				return p.answer(ctx, problem, err)
			}
		}
	}
	if ctx.Err() != nil || errors.Is(err, context.Canceled) { // the client has left or this process stops: not a fault
		return unavailable(detailUnavailable)
	}
	p.Logger.ErrorContext(ctx, "request failed", "error", err)
	return huma.Error500InternalServerError(detailInternal)
}

func (p Problems) answer(ctx context.Context, problem Problem, err error) error {
	detail := problem.Detail
	if problem.Kind == Unavailable {
		p.Logger.WarnContext(ctx, "request not served", "error", err)
		if detail == "" {
			detail = detailUnavailable
		}
		return unavailable(detail)
	}
	if detail == "" {
		detail = err.Error()
	}
	if problem.Location == "" {
		return huma.NewError(statusOf[problem.Kind], detail)
	}
	return huma.NewError(statusOf[problem.Kind], detail, &huma.ErrorDetail{Location: problem.Location, Message: err.Error()})
}

func answerInvalid(invalid *events.InvalidError) error {
	details := make([]error, len(invalid.Faults))
	for i, f := range invalid.Faults {
		details[i] = &huma.ErrorDetail{Location: "body." + f.Field, Message: f.Message, Value: f.Value}
	}
	return huma.NewError(statusOf[Invalid], detailInvalid, details...)
}

// Limited returns a 429 for a client that must wait. The wait is rounded up to whole seconds.
func Limited(detail string, wait time.Duration) error {
	seconds := strconv.FormatFloat(math.Ceil(wait.Seconds()), 'f', 0, 64)
	return huma.ErrorWithHeaders(huma.NewError(http.StatusTooManyRequests, detail), http.Header{"Retry-After": {seconds}})
}

// unavailable returns a 503 with the time to try again.
func unavailable(detail string) error {
	return huma.ErrorWithHeaders(huma.NewError(statusOf[Unavailable], detail), http.Header{"Retry-After": {retryAfter}})
}

// WriteProblem writes a problem document outside of huma's routes.
func WriteProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // fails only when the client has left
		"title": http.StatusText(status), "status": status, "detail": detail})
}
