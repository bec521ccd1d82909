package payments

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// A process that stops gives up what it has not answered in time. The shopper is still there, and Stripe too: both are
// told when to try again.
func TestWhatIsGivenUpMayBeAskedAgain(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	err := (&Service{logger: slog.New(slog.DiscardHandler)}).problem(stopped, stopped.Err())
	var status huma.StatusError
	var headers huma.HeadersError
	if !errors.As(err, &status) || status.GetStatus() != http.StatusServiceUnavailable || !errors.As(err, &headers) || headers.GetHeaders().Get("Retry-After") == "" {
		t.Errorf("answered %v; want 503 and when to try again", err)
	}
}
