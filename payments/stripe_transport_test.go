package payments

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// breakingServer answers each request with a status that the test sets, and counts the requests.
type breakingServer struct {
	status   atomic.Int32
	requests atomic.Int32
	url      string
}

func newBreakingServer(t *testing.T, status int32) *breakingServer {
	t.Helper()
	b := &breakingServer{}
	b.status.Store(status)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		b.requests.Add(1)
		status := int(b.status.Load())
		if status == http.StatusOK {
			_, _ = rw.Write([]byte(`{"id":"pi_1","object":"payment_intent"}`))
			return
		}
		http.Error(rw, `{"error":{"type":"api_error","message":"m"}}`, status)
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// movedClock is a clock that a test moves.
type movedClock struct{ offset atomic.Int64 }

func (c *movedClock) now() time.Time          { return time.Unix(1_700_000_000+c.offset.Load(), 0) }
func (c *movedClock) advance(d time.Duration) { c.offset.Add(int64(d / time.Second)) }

// After some failures in a row no request is sent for a while. Then one is sent as a probe, and its success lets all through.
func TestCircuitBreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int32{"ServerError": 500, "Unavailable": 503, "TooMany": 429, "KeyRevoked": 401} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, clock := newBreakingServer(t, status), &movedClock{}
			gateway := newStripeGateway(stripeOptions{key: secretKey, base: server.url, now: clock.now, logger: slog.New(slog.DiscardHandler)})
			retrieve := func() error { _, err := gateway.RetrieveIntent(t.Context(), "pi_1"); return err }
			for range failuresToOpen {
				if err := retrieve(); !errors.Is(err, ErrRetry) || errors.Is(err, ErrCircuitOpen) {
					t.Fatalf("closed circuit: got %v, want ErrRetry of the server", err)
				}
			}
			for range 3 {
				if err := retrieve(); !errors.Is(err, ErrCircuitOpen) || !errors.Is(err, ErrRetry) || errors.Is(err, ErrOutcomeUnknown) {
					t.Errorf("open circuit: got %v, want ErrCircuitOpen and ErrRetry, and no unknown outcome", err)
				}
			}
			clock.advance(openFor)
			if err := retrieve(); errors.Is(err, ErrCircuitOpen) || err == nil {
				t.Errorf("probe: got %v, want the server's error", err)
			}
			if err := retrieve(); !errors.Is(err, ErrCircuitOpen) {
				t.Errorf("after the failed probe: got %v, want ErrCircuitOpen", err)
			}
			if got := server.requests.Load(); got != failuresToOpen+1 {
				t.Errorf("requests: got %d, want %d", got, failuresToOpen+1)
			}
			server.status.Store(http.StatusOK)
			clock.advance(openFor)
			for range 2 {
				if err := retrieve(); err != nil {
					t.Errorf("server works again: got %v", err)
				}
			}
		})
	}
}

// Answers about one payment do not open the circuit, nor do requests that their callers give up.
func TestAnswersAboutOnePaymentLeaveTheCircuitClosed(t *testing.T) {
	t.Parallel()
	for _, status := range []int32{400, 402, 404, 409, 424} {
		server := newBreakingServer(t, status)
		gateway := testGateway(server.url)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 * failuresToOpen {
			_, err := gateway.RetrieveIntent(ended, "pi_1")
			_, err2 := gateway.RetrieveIntent(t.Context(), "pi_1")
			if errors.Is(errors.Join(err, err2), ErrCircuitOpen) {
				t.Fatalf("HTTP %d: got %v, want a closed circuit", status, err2)
			}
		}
	}
}

// While a probe is under way no other request is sent, and a result from before the circuit opened does not close it.
func TestBreakerLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	clock, changes := &movedClock{}, []bool{}
	b := &breaker{now: clock.now, changed: func(open bool) { changes = append(changes, open) }}
	early, _ := b.allow()
	for range failuresToOpen {
		done, _ := b.allow()
		done(false)
	}
	early(true)
	if _, ok := b.allow(); ok {
		t.Error("a late success closed the circuit")
	}
	clock.advance(openFor)
	probe, ok := b.allow()
	if _, second := b.allow(); !ok || second {
		t.Errorf("half-open: got probe %t and a second request %t, want one probe", ok, second)
	}
	probe(true)
	if _, ok := b.allow(); !ok || len(changes) != 2 || !changes[0] || changes[1] {
		t.Errorf("after the probe: got open %t and changes %v, want closed, and one opening and one closing", !ok, changes)
	}
}

// okTransport answers every request at once.
type okTransport struct{}

func (okTransport) RoundTrip(*http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	recorder.Body.WriteString(`{"id":"x","object":"x"}`)
	return recorder.Result(), nil
}

// The client stays under the limits of docs.stripe.com/rate-limits, for the account and for each endpoint. A sandbox has no limit.
func TestRequestsStayUnderTheRateLimit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		key      string
		setting  float64
		paths    []string
		minimum  time.Duration // for 100 requests
		requests int
	}{
		"OneEndpoint": {"sk_live_1", 0, []string{"/v1/payment_intents/pi_1", "/v1/payment_intents/pi_2"}, 4 * time.Second, 100},
		"Account":     {"sk_live_1", 0, []string{"/v1/payment_intents/pi_1", "/v1/refunds", "/v1/events", "/v1/balance_transactions", "/v1/disputes/dp_1"}, time.Second, 100},
		"TestMode":    {"sk_test_1", 0, []string{"/v1/payment_intents", "/v1/refunds"}, 4 * time.Second, 100},
		"Setting":     {"sk_live_1", 400, []string{"/v1/refunds"}, 500 * time.Millisecond, 100},
		"Sandbox":     {"sk_test_tillstream_1", 0, []string{"/v1/refunds"}, 0, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				transport := newStripeTransport(okTransport{}, rateOf(tc.setting, tc.key), &breaker{now: time.Now})
				began := time.Now()
				var all sync.WaitGroup
				for i := range tc.requests {
					all.Go(func() {
						r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.stripe.com"+tc.paths[i%len(tc.paths)], nil)
						if _, err := transport.RoundTrip(r); err != nil {
							t.Error(err)
						}
					})
				}
				all.Wait()
				if took := time.Since(began); took < tc.minimum || took > tc.minimum+time.Second {
					t.Errorf("%d requests took %s, want %s and less than a second more", tc.requests, took, tc.minimum)
				}
			})
		})
	}
}

// A request that would wait for longer than half of its time is refused and not sent.
func TestRequestsThatWaitTooLongAreNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := newStripeTransport(okTransport{}, 0.01, &breaker{now: time.Now})
		var errs []error
		for range 2 {
			_, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.stripe.com/v1/refunds", nil))
			errs = append(errs, err)
		}
		got := gatewayError(errs[1], opListRefunds)
		if errs[0] != nil || !errors.Is(got, ErrRetry) || errors.Is(got, ErrOutcomeUnknown) || errors.Is(got, ErrCircuitOpen) {
			t.Errorf("got %v and %v, want the second one refused with ErrRetry, unsent", errs[0], got)
		}
	})
}
