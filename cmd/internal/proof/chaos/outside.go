package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/notifications/inbox"
	"tillstream/payments/sandbox"
)

// outside makes Stripe, its webhooks and the mail server fail. A fault affects every second request, at random, so that
// retries succeed in the end.
type outside struct {
	broken, kept, busy, silent atomic.Bool
	lost, twice                atomic.Bool
	late                       atomic.Int64 // longest delay in ms; 0: no fault
	webhooks                   http.RoundTripper
}

func newOutside() *outside { return &outside{webhooks: &http.Transport{MaxIdleConnsPerHost: 16}} }

// hits reports, for every second request at random, whether it is affected by a fault.
func hits(on *atomic.Bool) bool { return on.Load() && rand.IntN(2) == 0 }

// silence is how long an answer is withheld before the connection is closed. A longer silence would only occupy a shopper for
// longer than the fault lasts.
const silence = 3 * time.Second

// front is middleware in front of Stripe. It refuses requests before Stripe records them under their idempotency keys.
func (o *outside) front(stripe http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case hits(&o.busy):
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests, `{"error":{"type":"invalid_request_error","code":"rate_limit","message":"Request rate limit exceeded."}}`)
		case hits(&o.broken):
			refuse(w, http.StatusInternalServerError, apiError)
		case hits(&o.silent):
			stripe.ServeHTTP(discard{http.Header{}}, r)
			wait(r.Context(), silence)
			panic(http.ErrAbortHandler)
		default:
			stripe.ServeHTTP(w, r)
		}
	})
}

const apiError = `{"error":{"type":"api_error","message":"An error occurred on our end."}}`

func refuse(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client may have disconnected
}

// discard is a ResponseWriter that discards the response.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// intercept lets Stripe do the work and then fail. Stripe records the failure under the idempotency key.
func (o *outside) intercept(_ context.Context, _ sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
	answer := work()
	if hits(&o.kept) {
		return sandbox.Answer{Status: http.StatusInternalServerError, Body: []byte(apiError)}
	}
	return answer
}

// RoundTrip delivers a webhook, unless a fault loses, delays or duplicates it.
func (o *outside) RoundTrip(r *http.Request) (*http.Response, error) {
	if hits(&o.lost) {
		return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Request: r, Body: http.NoBody}, nil
	}
	if late := o.late.Load(); late > 0 {
		wait(r.Context(), time.Duration(rand.Int64N(late))*time.Millisecond)
	}
	if !hits(&o.twice) {
		return o.webhooks.RoundTrip(r)
	}
	return o.deliverTwice(r)
}

// deliverTwice sends the same request on two connections at once and returns the response to the second.
func (o *outside) deliverTwice(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	duplicate := func() *http.Request {
		other := r.Clone(r.Context())
		other.Body = io.NopCloser(bytes.NewReader(body))
		return other
	}
	first := make(chan error, 1)
	go func() {
		response, err := o.webhooks.RoundTrip(duplicate())
		if err == nil {
			err = response.Body.Close()
		}
		first <- err
	}()
	response, err := o.webhooks.RoundTrip(duplicate())
	if firstErr := <-first; err == nil && firstErr != nil {
		return nil, errors.Join(firstErr, response.Body.Close())
	}
	return response, err
}

// config returns the configuration of the external services.
func (o *outside) config() fleet.OutsideConfig {
	return fleet.OutsideConfig{Front: o.front, Intercept: o.intercept, Webhooks: &http.Client{Timeout: 10 * time.Second, Transport: o,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// begin begins a fault of Stripe, the webhooks or the mail server. undo ends it.
func (o *outside) begin(f Fault, mail *inbox.Inbox) (undo func() error) {
	if f.Kind == MailRefused {
		mail.Intercept(refuseHalf)
		return func() error { mail.Intercept(nil); return nil }
	}
	if f.Kind == WebhooksLate {
		o.late.Store(f.Amount)
		return func() error { o.late.Store(0); return nil }
	}
	on := map[Kind]*atomic.Bool{StripeBroken: &o.broken, StripeKept: &o.kept, StripeBusy: &o.busy, StripeSilent: &o.silent,
		WebhooksLost: &o.lost, WebhooksTwice: &o.twice}[f.Kind]
	on.Store(true)
	return func() error { on.Store(false); return nil }
}

func refuseHalf(_ context.Context, at inbox.Stage, _, _ string) error {
	if at == inbox.StageRcpt && rand.IntN(2) == 0 {
		return inbox.Refuse(451, "try again later")
	}
	return nil
}
