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

// outside is how Stripe misbehaves. Of the requests and deliveries that a fault is about it spoils every other one, by chance,
// so that repeating gets there in the end.
type outside struct {
	broken, kept, busy, silent atomic.Bool
	lost, twice                atomic.Bool
	late                       atomic.Int64 // milliseconds; 0: in time
	webhooks                   http.RoundTripper
}

func newOutside() *outside { return &outside{webhooks: &http.Transport{MaxIdleConnsPerHost: 16}} }

func perhaps(on *atomic.Bool) bool { return on.Load() && rand.IntN(2) == 0 }

// longestSilence is how long an answer is kept back before the connection breaks. A client that waits longer than the
// fault lasts would only tie up a shopper.
const longestSilence = 3 * time.Second

// front stands in front of Stripe. What it refuses has not begun, so nothing is kept under a key.
func (o *outside) front(stripe http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case perhaps(&o.busy):
			w.Header().Set("Retry-After", "1")
			refuse(w, http.StatusTooManyRequests, `{"error":{"type":"invalid_request_error","code":"rate_limit","message":"Request rate limit exceeded."}}`)
		case perhaps(&o.broken):
			refuse(w, http.StatusInternalServerError, apiError)
		case perhaps(&o.silent):
			stripe.ServeHTTP(discarded{http.Header{}}, r)
			wait(r.Context(), longestSilence)
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
	_, _ = io.WriteString(w, body) // whoever asked may have gone
}

// discarded is an answer that nobody gets.
type discarded struct{ header http.Header }

func (d discarded) Header() http.Header         { return d.header }
func (d discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d discarded) WriteHeader(int)             {}

// intercept has Stripe do the work and then fail, which it remembers under the key.
func (o *outside) intercept(_ context.Context, _ sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
	answer := work()
	if perhaps(&o.kept) {
		return sandbox.Answer{Status: http.StatusInternalServerError, Body: []byte(apiError)}
	}
	return answer
}

// RoundTrip delivers a webhook, or not.
func (o *outside) RoundTrip(r *http.Request) (*http.Response, error) {
	if perhaps(&o.lost) {
		return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Request: r, Body: http.NoBody}, nil
	}
	if late := o.late.Load(); late > 0 {
		wait(r.Context(), time.Duration(rand.Int64N(late))*time.Millisecond)
	}
	if !perhaps(&o.twice) {
		return o.webhooks.RoundTrip(r)
	}
	return o.deliverTwice(r)
}

// deliverTwice sends the same message on two connections at once. The second answer counts.
func (o *outside) deliverTwice(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	copied := func() *http.Request {
		other := r.Clone(r.Context())
		other.Body = io.NopCloser(bytes.NewReader(body))
		return other
	}
	first := make(chan error, 1)
	go func() {
		response, err := o.webhooks.RoundTrip(copied())
		if err == nil {
			err = response.Body.Close()
		}
		first <- err
	}()
	response, err := o.webhooks.RoundTrip(copied())
	if problem := <-first; err == nil && problem != nil {
		return nil, errors.Join(problem, response.Body.Close())
	}
	return response, err
}

// config is how the outside is started.
func (o *outside) config() fleet.OutsideConfig {
	return fleet.OutsideConfig{Front: o.front, Intercept: o.intercept, Webhooks: &http.Client{Timeout: 10 * time.Second, Transport: o,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// spoil begins a fault of Stripe or of the mail server, and returns what ends it.
func (o *outside) spoil(f Fault, box *inbox.Inbox) (mend func() error) {
	if f.Kind == MailRefused {
		box.Intercept(refuseHalf)
		return func() error { box.Intercept(nil); return nil }
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

// wait returns when so much time has passed or ctx has ended.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
