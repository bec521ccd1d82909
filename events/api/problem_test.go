package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

var errTaken = errors.New("the name is taken")

func TestEveryKindOfErrorHasOneStatus(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	table := []api.Problem{{Err: errTaken, Kind: api.Conflict}, {Err: eventlog.ErrNotFound, Kind: api.NotFound, Detail: "There is no such thing."},
		{Err: events.ErrBadID, Kind: api.Malformed, Detail: "The id is not valid.", Location: "path.id"}}
	for name, c := range map[string]struct {
		ctx    context.Context
		err    error
		status int
		detail string // part of it
		logged string // part of it; "": nothing
	}{
		"Listed":      {t.Context(), fmt.Errorf("rename a: %w", errTaken), http.StatusConflict, "rename a: the name is taken", ""},
		"NotFound":    {t.Context(), fmt.Errorf("%w: thing a", eventlog.ErrNotFound), http.StatusNotFound, "There is no such thing.", ""},
		"Malformed":   {t.Context(), events.CheckID("*"), http.StatusBadRequest, "The id is not valid.", ""},
		"BadCursor":   {t.Context(), fmt.Errorf("%w: x", api.ErrBadCursor), http.StatusBadRequest, "first page", ""},
		"Invalid":     {t.Context(), &events.InvalidError{Faults: []events.Fault{{Field: "name", Message: "is required"}}}, http.StatusUnprocessableEntity, "correct them", ""},
		"Unavailable": {t.Context(), fmt.Errorf("read a: %w", eventlog.ErrUnavailable), http.StatusServiceUnavailable, "try again in a moment", "read a"},
		"Unreadable":  {t.Context(), eventlog.ErrUnreadable, http.StatusServiceUnavailable, "try again in a moment", "unreadable"},
		"Contention":  {t.Context(), eventlog.ErrContention, http.StatusServiceUnavailable, "try again in a moment", "contention"},
		"Truncated":   {t.Context(), eventlog.ErrTruncated, http.StatusServiceUnavailable, "try again in a moment", "truncated"},
		"Upgrading":   {t.Context(), eventlog.ErrUpgradeInProgress, http.StatusServiceUnavailable, "try again in a moment", "older release"},
		"TooLate":     {t.Context(), fmt.Errorf("read a: %w", context.DeadlineExceeded), http.StatusServiceUnavailable, "try again in a moment", "read a"},
		"Cancelled":   {t.Context(), context.Canceled, http.StatusServiceUnavailable, "try again in a moment", ""},
		"Stopping":    {cancelled, errors.New("closed"), http.StatusServiceUnavailable, "try again in a moment", ""},
		"Other":       {t.Context(), errors.New("a secret"), http.StatusInternalServerError, "on our side", "a secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged bytes.Buffer
			err := api.Problems{Logger: slog.New(slog.NewTextHandler(&logged, nil)), Table: table}.Answer(c.ctx, c.err)
			var status huma.StatusError
			if !errors.As(err, &status) || status.GetStatus() != c.status || !strings.Contains(status.Error(), c.detail) || strings.Contains(status.Error(), "secret") {
				t.Errorf("got %v, want status %d and %q", err, c.status, c.detail)
			}
			var headers huma.HeadersError
			if unavailable := errors.As(err, &headers) && headers.GetHeaders().Get("Retry-After") != ""; unavailable != (c.status == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After is set: %t, want %t", unavailable, c.status == http.StatusServiceUnavailable)
			}
			if text := logged.String(); (text == "") != (c.logged == "") || !strings.Contains(text, c.logged) {
				t.Errorf("logged %q, want %q", text, c.logged)
			}
		})
	}
}

func TestProblemNamesTheFaultyPartOfTheRequest(t *testing.T) {
	t.Parallel()
	problems := api.Problems{Logger: slog.New(slog.DiscardHandler), Table: []api.Problem{{Err: events.ErrBadID, Kind: api.Malformed, Location: "path.id"}}}
	for want, err := range map[string]error{
		"path.id":       events.CheckID("*"),
		"body.lines[2]": &events.InvalidError{Faults: []events.Fault{{Field: "lines[2]", Message: "is empty", Value: 7}}},
	} {
		var model *huma.ErrorModel
		if !errors.As(problems.Answer(t.Context(), err), &model) || len(model.Errors) != 1 || model.Errors[0].Location != want || model.Errors[0].Message == "" {
			t.Errorf("got %+v, want an error at %s", model, want)
		}
	}
}
