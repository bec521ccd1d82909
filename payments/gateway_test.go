package payments

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/worker"
	"tillstream/payments/sandbox"
)

// lossyGateway loses answers of Stripe.
type lossyGateway struct {
	Gateway
	mu          sync.Mutex
	lose        map[string]int // how many more answers of each call get lost
	staleSearch bool           // the search index lags and finds nothing
	created     []string       // the intent of every creation; idempotency would hide a repeated one
}

func (g *lossyGateway) lost(call string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lose[call]--
	return g.lose[call] >= 0
}

var errLost = &GatewayError{Kind: ErrRetry, Unknown: true, Cause: errors.New("connection reset")}

func (g *lossyGateway) CreateIntent(ctx context.Context, p Payment) (Intent, error) {
	in, err := g.Gateway.CreateIntent(ctx, p)
	g.mu.Lock()
	g.created = append(g.created, in.ID)
	g.mu.Unlock()
	if g.lost("create") {
		return Intent{}, errLost
	}
	return in, err
}

func (g *lossyGateway) FindIntent(ctx context.Context, p Payment) (Intent, bool, error) {
	if g.staleSearch {
		return Intent{}, false, nil
	}
	return g.Gateway.FindIntent(ctx, p)
}

func (g *lossyGateway) Capture(ctx context.Context, p Payment, part Part) (Intent, error) {
	in, err := g.Gateway.Capture(ctx, p, part)
	if g.lost("capture") {
		return Intent{}, errLost
	}
	return in, err
}

func (g *lossyGateway) Cancel(ctx context.Context, p Payment) (Intent, error) {
	in, err := g.Gateway.Cancel(ctx, p)
	if g.lost("cancel") {
		return Intent{}, errLost
	}
	return in, err
}

func (g *lossyGateway) Refund(ctx context.Context, p Payment, id string, amount events.Money) (StripeRefund, error) {
	r, err := g.Gateway.Refund(ctx, p, id, amount)
	if g.lost("refund") {
		return StripeRefund{}, errLost
	}
	return r, err
}

// intentsAtStripe counts the intents of an order at Stripe.
func (f *fixture) intentsAtStripe(orderID string) int {
	f.t.Helper()
	found, _ := f.callStripe("payment_intents/search?query="+url.QueryEscape("metadata['order_id']:'"+orderID+"'"), nil)["data"].([]any)
	return len(found)
}

// Rows 33 and 34 of the fault matrix: Stripe created the intent and the answer got lost. With or without Stripe's search there
// is one intent.
func TestLostResponseToCreateMakesOneIntent(t *testing.T) {
	t.Parallel()
	for name, stale := range map[string]bool{"FoundByMetadata": false, "FoundByKey": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gateway := &lossyGateway{lose: map[string]int{"create": 1}, staleSearch: stale}
			f := newFixture(t, fixtureOptions{gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
			orderID, p := f.placeOrder(1250)
			if got := f.intentsAtStripe(orderID); got != 1 {
				t.Errorf("intents at Stripe: got %d, want 1", got)
			}
			gateway.mu.Lock()
			defer gateway.mu.Unlock()
			want := 1
			if stale {
				want = 2
			}
			if len(gateway.created) != want || gateway.created[0] != p.PaymentIntent || gateway.created[want-1] != p.PaymentIntent {
				t.Errorf("answers to creations: got %v, want %d times %s", gateway.created, want, p.PaymentIntent)
			}
		})
	}
}

func TestLostResponsesToCaptureCaptureOnce(t *testing.T) {
	t.Parallel()
	gateway := &lossyGateway{lose: map[string]int{"capture": 2}}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	orderID, p := f.placeOrder(1250)
	f.pay(p, "pm_card_visa")
	f.expireOrder(orderID)
	f.waitForStatus(orderID, StatusAuthorized)
	f.acceptPayment(orderID, 1250)
	f.waitForStatus(orderID, StatusCaptured)
	f.expectReceivedAtStripe(p.PaymentIntent, 1250)
}

// expectReceivedAtStripe checks the captured amount of an intent.
func (f *fixture) expectReceivedAtStripe(intent string, want float64) {
	f.t.Helper()
	if in := f.callStripe("payment_intents/"+intent, nil); in["amount_received"] != want {
		f.t.Errorf("intent %s at Stripe: got %v received, want %v", intent, in["amount_received"], want)
	}
}

func TestLostResponsesToCancelAndRefundActOnce(t *testing.T) {
	t.Parallel()
	gateway := &lossyGateway{lose: map[string]int{"cancel": 1, "refund": 1}}
	f := newFixture(t, fixtureOptions{noWebhooks: true, gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	unpaid, _ := f.placeOrder(1250)
	paid, p := f.placeOrder(700)
	f.pay(p, "pm_card_visa")
	f.callStripe("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
	for _, id := range []string{unpaid, paid} {
		f.cancelOrder(id)
	}
	f.waitForStatus(unpaid, StatusCancelled)
	f.waitForStatus(paid, StatusRefunded)
	if got, _ := f.callStripe("refunds?payment_intent="+p.PaymentIntent, nil)["data"].([]any); len(got) != 1 {
		t.Errorf("refunds at Stripe: got %d, want 1", len(got))
	}
	f.expectNoDeadLetters()
}

// The process died between Stripe's answer and the commit. Then a webhook reports an intent that the payment does not have.
func TestIntentIsAdoptedFromItsWebhook(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{gateway: func(g Gateway) Gateway {
		return &lossyGateway{Gateway: g, lose: map[string]int{"create": 1 << 30}, staleSearch: true}
	}})
	orderID := f.requestPayment(1250)
	f.waitUntil("Stripe has the intent", func() bool { return f.intentsAtStripe(orderID) == 1 })
	found, _ := f.callStripe("payment_intents/search?query="+url.QueryEscape("metadata['order_id']:'"+orderID+"'"), nil)["data"].([]any)
	object, _ := found[0].(map[string]any)
	id, _ := object["id"].(string)
	f.pay(PaymentBody{PaymentIntent: id}, "pm_card_visa")
	f.waitForStatus(orderID, StatusAuthorized)
	if got := f.payment(orderID).PaymentIntent; got != id {
		t.Errorf("intent of the payment: got %q, want %q", got, id)
	}
}

// Row 35 of the fault matrix: Stripe created the intent, answered 500 and replays that for a day. A search finds the intent.
func TestReplayedServerErrorIsResolvedBySearch(t *testing.T) {
	t.Parallel()
	var once sync.Once
	f := newFixture(t, fixtureOptions{intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		answer := work()
		if r.Method == http.MethodPost && r.Path == "/v1/payment_intents" {
			once.Do(func() { answer = stripeFailure(500, "api_error") })
		}
		return answer
	}})
	orderID, _ := f.placeOrder(1250)
	if got := f.intentsAtStripe(orderID); got != 1 {
		t.Errorf("intents at Stripe: got %d, want 1", got)
	}
}

func stripeFailure(status int, code string) sandbox.Answer {
	body, err := json.Marshal(map[string]any{"error": map[string]any{"type": "api_error", "code": code, "message": code}})
	if err != nil {
		panic(err)
	}
	return sandbox.Answer{Status: status, Body: body}
}

// Row 36 of the fault matrix: Stripe limits the rate, is unavailable or refuses the key. The idempotency key stays the same, and
// there are no dead letters.
func TestBusyStripeIsRetriedUnderTheSameKey(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"TooMany": 429, "Conflict": 409, "Unavailable": 503, "KeyRevoked": 401, "BankFailed": 424} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := make(chan string, 100)
			f := newFixture(t, fixtureOptions{proxy: func(stripe http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost && r.URL.Path == "/v1/payment_intents" {
						if keys <- r.Header.Get("Idempotency-Key"); len(keys) <= 2 {
							http.Error(rw, `{"error":{"type":"api_error","message":"not now"}}`, status)
							return
						}
					}
					stripe.ServeHTTP(rw, r)
				})
			}})
			orderID, _ := f.placeOrder(1250)
			if len(keys) != 3 {
				t.Errorf("creations: got %d, want 3", len(keys))
			}
			for range len(keys) {
				if key := <-keys; key != events.FirstPaymentID(orderID)+"/create/v1" {
					t.Errorf("idempotency key: got %q, want %s/create/v1", key, events.FirstPaymentID(orderID))
				}
			}
			f.expectNoDeadLetters()
		})
	}
}

// The order was cancelled before its intent was created: no intent is created, even when the event is handled again.
func TestCancelledPaymentGetsNoIntent(t *testing.T) {
	t.Parallel()
	gateway := &lossyGateway{lose: map[string]int{}}
	f := newFixture(t, fixtureOptions{gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	p := fold(t, histories["cancelledBefore"]...)
	in, found, err := f.service.findOrCreate(t.Context(), events.Event{Time: time.Now()}, p)
	if err != nil || found || len(gateway.created) != 0 {
		t.Errorf("got found %t, %+v, %v and creations %v; want no intent", found, in, err, gateway.created)
	}
}

// An intent was created just before the order was cancelled, and the answer got lost. It is found and cancelled.
func TestIntentFoundAfterCancellationIsCancelled(t *testing.T) {
	t.Parallel()
	gateway := &lateSearch{lossyGateway: lossyGateway{lose: map[string]int{"create": 1}}}
	f := newFixture(t, fixtureOptions{gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	orderID := f.requestPayment(1250)
	f.waitUntil("Stripe has the intent", func() bool { return f.intentsAtStripe(orderID) == 1 })
	f.cancelOrder(orderID)
	f.waitForStatus(orderID, StatusCancelled)
	if p := f.payment(orderID); p.PaymentIntent != "" {
		t.Errorf("payment before the search works: got intent %q, want none", p.PaymentIntent)
	}
	gateway.searchable.Store(true)
	f.waitUntil("the intent is cancelled", func() bool { return f.payment(orderID).CancelledIntent })
	f.expectCanceledAtStripe(f.payment(orderID).PaymentIntent)
}

// lateSearch is a gateway whose search fails at first.
type lateSearch struct {
	lossyGateway
	searchable atomic.Bool
}

func (g *lateSearch) FindIntent(ctx context.Context, p Payment) (Intent, bool, error) {
	if !g.searchable.Load() {
		return Intent{}, false, errLost
	}
	return g.lossyGateway.FindIntent(ctx, p)
}

// Row 38 of the fault matrix: the idempotency key has expired, so the act searches before it creates an intent.
func TestOldRequestsSearchBeforeTheyCreate(t *testing.T) {
	t.Parallel()
	gateway := &lossyGateway{lose: map[string]int{}}
	f := newFixture(t, fixtureOptions{gateway: func(g Gateway) Gateway { gateway.Gateway = g; return gateway }})
	orderID, p := f.placeOrder(1250)
	old := events.Event{Time: time.Now().Add(-25 * time.Hour)}
	in, found, err := f.service.findOrCreate(t.Context(), old, fold(t, events.PaymentRequested{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID), Amount: gbp1250}))
	if err != nil || !found || in.ID != p.PaymentIntent || len(gateway.created) != 1 {
		t.Errorf("got found %t, %s, %v and creations %v; want %s found", found, in.ID, err, gateway.created, p.PaymentIntent)
	}
}

// API10 of the OWASP API Top 10.
func TestErrorsOfTheClientAreClassified(t *testing.T) {
	t.Parallel()
	gateway := testGateway("http://127.0.0.1:1")
	_, err := gateway.CreateIntent(t.Context(), fold(t, histories["requested"]...))
	if !errors.Is(err, ErrRetry) || !errors.Is(err, ErrOutcomeUnknown) || strings.Contains(err.Error(), secretKey) {
		t.Errorf("no server: got %v, want ErrRetry and ErrOutcomeUnknown without the key", err)
	}
	if err := classify(t.Context(), context.DeadlineExceeded, opRetrieveIntent, "pi_1"); !errors.Is(err, ErrRetry) || worker.IsInfrastructure(err) {
		t.Errorf("timeout: got %v, want ErrRetry that is not an infrastructure error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gateway.RetrieveIntent(ctx, "pi_1"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrRetry) {
		t.Errorf("cancelled context: got %v, want context.Canceled alone", err)
	}
	if _, _, err := gateway.FindIntent(t.Context(), Payment{ID: "x' OR status:'succeeded"}); !errors.Is(err, events.ErrBadID) {
		t.Errorf("payment id with a quote: got %v, want ErrBadID", err)
	}
}

// testGateway returns a gateway to a server at base.
func testGateway(base string) *stripeGateway {
	return newStripeGateway(stripeOptions{key: secretKey, base: base, now: time.Now, logger: slog.New(slog.DiscardHandler)})
}
