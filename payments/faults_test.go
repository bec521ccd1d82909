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

// shaky is a Stripe whose answers get lost on the way.
type shaky struct {
	Gateway
	mu      sync.Mutex
	lose    map[string]int // how many answers of each call are still to be lost
	blind   bool           // the search index is behind and finds nothing
	created []string       // idempotency would hide a second intent; this does not
}

func (g *shaky) lost(call string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lose[call]--
	return g.lose[call] >= 0
}

var errLost = &GatewayError{Kind: ErrRetry, Unknown: true, Cause: errors.New("connection reset")}

func (g *shaky) CreateIntent(ctx context.Context, p Payment) (Intent, error) {
	in, err := g.Gateway.CreateIntent(ctx, p)
	g.mu.Lock()
	g.created = append(g.created, in.ID)
	g.mu.Unlock()
	if g.lost("create") {
		return Intent{}, errLost
	}
	return in, err
}

func (g *shaky) FindIntent(ctx context.Context, orderID string) (Intent, bool, error) {
	if g.blind {
		return Intent{}, false, nil
	}
	return g.Gateway.FindIntent(ctx, orderID)
}

func (g *shaky) Capture(ctx context.Context, p Payment) (Intent, error) {
	in, err := g.Gateway.Capture(ctx, p)
	if g.lost("capture") {
		return Intent{}, errLost
	}
	return in, err
}

func (g *shaky) Cancel(ctx context.Context, p Payment) (Intent, error) {
	in, err := g.Gateway.Cancel(ctx, p)
	if g.lost("cancel") {
		return Intent{}, errLost
	}
	return in, err
}

func (g *shaky) Refund(ctx context.Context, p Payment, id string, amount events.Money) (StripeRefund, error) {
	r, err := g.Gateway.Refund(ctx, p, id, amount)
	if g.lost("refund") {
		return StripeRefund{}, errLost
	}
	return r, err
}

// intentsAt counts the intents of an order at Stripe.
func (w *world) intentsAt(orderID string) int {
	w.t.Helper()
	found, _ := w.ask("payment_intents/search?query="+url.QueryEscape("metadata['order_id']:'"+orderID+"'"), nil)["data"].([]any)
	return len(found)
}

// Rows 33 and 34 of the fault matrix: Stripe did it, the answer got lost. With or without Stripe's search there is one intent.
func TestLostAnswerToCreation(t *testing.T) {
	t.Parallel()
	for name, blind := range map[string]bool{"FoundByMetadata": false, "FoundByKey": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bridge := &shaky{lose: map[string]int{"create": 1}, blind: blind}
			w := newWorld(t, setup{gateway: func(g Gateway) Gateway { bridge.Gateway = g; return bridge }})
			orderID, p := w.place(1250)
			if got := w.intentsAt(orderID); got != 1 {
				t.Errorf("%d intents at Stripe", got)
			}
			bridge.mu.Lock()
			defer bridge.mu.Unlock()
			want := 1
			if blind {
				want = 2
			}
			if len(bridge.created) != want || bridge.created[0] != p.PaymentIntent || bridge.created[want-1] != p.PaymentIntent {
				t.Errorf("created %v, the shopper got %s", bridge.created, p.PaymentIntent)
			}
		})
	}
}

func TestLostAnswerToCapture(t *testing.T) {
	t.Parallel()
	bridge := &shaky{lose: map[string]int{"capture": 2}}
	w := newWorld(t, setup{deaf: true, gateway: func(g Gateway) Gateway { bridge.Gateway = g; return bridge }})
	orderID, p := w.place(1250)
	w.pay(p, "pm_card_visa")
	w.say(orderID, events.OrderExpired{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}})
	w.untilStatus(orderID, StatusAuthorized)
	w.accept(orderID, 1250)
	w.untilStatus(orderID, StatusCaptured)
	if in := w.ask("payment_intents/"+p.PaymentIntent, nil); in["amount_received"] != 1250.0 {
		t.Errorf("at Stripe %v was received", in["amount_received"])
	}
}

func TestLostAnswersToCancellationAndRefund(t *testing.T) {
	t.Parallel()
	bridge := &shaky{lose: map[string]int{"cancel": 1, "refund": 1}}
	w := newWorld(t, setup{deaf: true, gateway: func(g Gateway) Gateway { bridge.Gateway = g; return bridge }})
	unpaid, _ := w.place(1250)
	paid, p := w.place(700)
	w.pay(p, "pm_card_visa")
	w.ask("payment_intents/"+p.PaymentIntent+"/capture", url.Values{})
	for _, id := range []string{unpaid, paid} {
		w.say(id, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: id, PaymentID: events.FirstPaymentID(id)}, Reason: events.CancelRequested})
	}
	w.untilStatus(unpaid, StatusCancelled)
	w.untilStatus(paid, StatusRefunded)
	if got, _ := w.ask("refunds?payment_intent="+p.PaymentIntent, nil)["data"].([]any); len(got) != 1 {
		t.Errorf("%d refunds at Stripe", len(got))
	}
	w.noDeadLetters()
}

// The process died between Stripe's answer and the log; before it is back, the shopper's bank has answered and the
// webhook tells of an intent that nobody here has heard of.
func TestIntentIsAdoptedFromItsWebhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{gateway: func(g Gateway) Gateway {
		return &shaky{Gateway: g, lose: map[string]int{"create": 1 << 30}, blind: true}
	}})
	orderID := w.await(1250)
	w.until("Stripe has the intent", func() bool { return w.intentsAt(orderID) == 1 })
	found, _ := w.ask("payment_intents/search?query="+url.QueryEscape("metadata['order_id']:'"+orderID+"'"), nil)["data"].([]any)
	object, _ := found[0].(map[string]any)
	id, _ := object["id"].(string)
	w.pay(PaymentView{PaymentIntent: id}, "pm_card_visa")
	w.untilStatus(orderID, StatusAuthorized)
	if got := w.payment(orderID).PaymentIntent; got != id {
		t.Errorf("adopted %q, want %q", got, id)
	}
}

// Row 35 of the fault matrix: a 500 is replayed under its key for a day. The work was done, so looking finds it.
func TestStoredServerErrorIsLookedUp(t *testing.T) {
	t.Parallel()
	var once sync.Once
	w := newWorld(t, setup{intercept: func(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
		answer := work()
		if r.Method == http.MethodPost && r.Path == "/v1/payment_intents" {
			once.Do(func() { answer = failure(500, "api_error") })
		}
		return answer
	}})
	orderID, _ := w.place(1250)
	if got := w.intentsAt(orderID); got != 1 {
		t.Errorf("%d intents at Stripe", got)
	}
}

func failure(status int, code string) sandbox.Answer {
	body, err := json.Marshal(map[string]any{"error": map[string]any{"type": "api_error", "code": code, "message": code}})
	if err != nil {
		panic(err)
	}
	return sandbox.Answer{Status: status, Body: body}
}

// Row 36 of the fault matrix: busy, locked, away, key revoked. The idempotency key stays the same and there are no dead letters.
func TestBusyStripeIsAskedAgainUnderTheSameKey(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"TooMany": 429, "Conflict": 409, "Unavailable": 503, "KeyRevoked": 401, "BankFailed": 424} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := make(chan string, 100)
			w := newWorld(t, setup{front: func(bank http.Handler) http.Handler {
				return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost && r.URL.Path == "/v1/payment_intents" {
						if keys <- r.Header.Get("Idempotency-Key"); len(keys) <= 2 {
							http.Error(rw, `{"error":{"type":"api_error","message":"not now"}}`, status)
							return
						}
					}
					bank.ServeHTTP(rw, r)
				})
			}})
			orderID, _ := w.place(1250)
			if len(keys) != 3 {
				t.Errorf("asked %d times, want 3", len(keys))
			}
			for range len(keys) {
				if key := <-keys; key != events.FirstPaymentID(orderID)+"/create/v1" {
					t.Errorf("key %q", key)
				}
			}
			w.noDeadLetters()
		})
	}
}

// The order was called off before anybody asked Stripe: no intent is made, also when the event comes again.
func TestNoIntentForAPaymentThatWasCalledOff(t *testing.T) {
	t.Parallel()
	bridge := &shaky{lose: map[string]int{}}
	w := newWorld(t, setup{gateway: func(g Gateway) Gateway { bridge.Gateway = g; return bridge }})
	p := fold(t, histories["cancelledBefore"]...)
	in, found, err := w.service.findOrCreate(t.Context(), events.Event{Time: time.Now()}, p)
	if err != nil || found || len(bridge.created) != 0 {
		t.Errorf("found %t %+v, %v; created %v", found, in, err, bridge.created)
	}
}

// An intent that was made just before the order was called off, and of which nobody heard, is found and cancelled.
func TestIntentThatCameTooLateIsCancelled(t *testing.T) {
	t.Parallel()
	bridge := &late{shaky: shaky{lose: map[string]int{"create": 1}}}
	w := newWorld(t, setup{gateway: func(g Gateway) Gateway { bridge.Gateway = g; return bridge }})
	orderID := w.await(1250)
	w.until("Stripe has the intent", func() bool { return w.intentsAt(orderID) == 1 })
	w.say(orderID, events.OrderCancelled{OrderOutcome: events.OrderOutcome{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID)}, Reason: events.CancelRequested})
	w.untilStatus(orderID, StatusCancelled)
	if p := w.payment(orderID); p.PaymentIntent != "" {
		t.Errorf("the intent was known too early for this test: %+v", p)
	}
	bridge.searchable.Store(true)
	w.until("the intent is cancelled", func() bool { return w.payment(orderID).CancelledIntent })
	w.cancelledAtStripe(w.payment(orderID).PaymentIntent)
}

// late is a Stripe whose search is away for a while.
type late struct {
	shaky
	searchable atomic.Bool
}

func (g *late) FindIntent(ctx context.Context, orderID string) (Intent, bool, error) {
	if !g.searchable.Load() {
		return Intent{}, false, errLost
	}
	return g.shaky.FindIntent(ctx, orderID)
}

// Row 38 of the fault matrix: the key has expired at Stripe, so the act looks first, and does not take or send twice.
func TestOldRequestsLookFirst(t *testing.T) {
	t.Parallel()
	bridge := &shaky{lose: map[string]int{}}
	w := newWorld(t, setup{gateway: func(g Gateway) Gateway { bridge.Gateway = g; return bridge }})
	orderID, p := w.place(1250)
	old := events.Event{Time: time.Now().Add(-25 * time.Hour)}
	in, found, err := w.service.findOrCreate(t.Context(), old, fold(t, events.PaymentRequested{OrderID: orderID, PaymentID: events.FirstPaymentID(orderID), Amount: gbp1250}))
	if err != nil || !found || in.ID != p.PaymentIntent || len(bridge.created) != 1 {
		t.Errorf("found %t %s, %v; created %v", found, in.ID, err, bridge.created)
	}
}

func TestErrorsOfStripeAreSorted(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{400: ErrPermanent, 402: ErrDeclined, 404: ErrPermanent, 401: ErrRetry, 403: ErrRetry,
		408: ErrRetry, 409: ErrRetry, 424: ErrRetry, 429: ErrRetry, 500: ErrRetry, 502: ErrRetry, 503: ErrRetry} {
		kind, unknown := kindOf(status)
		if !errors.Is(kind, want) || unknown != (status >= 500 || status == 408 || status == 424) {
			t.Errorf("HTTP %d: %v, unknown %t", status, kind, unknown)
		}
	}
	gateway := newStripeGateway(secretKey, "http://127.0.0.1:1", slog.New(slog.DiscardHandler))
	_, err := gateway.CreateIntent(t.Context(), fold(t, histories["requested"]...))
	if !errors.Is(err, ErrRetry) || !errors.Is(err, ErrOutcomeUnknown) || strings.Contains(err.Error(), secretKey) {
		t.Errorf("nobody there: %v", err)
	}
	if err := sorted(t.Context(), context.DeadlineExceeded, "ask"); !errors.Is(err, ErrRetry) || worker.IsInfrastructure(err) {
		t.Errorf("Stripe did not answer in time: %v; want it to count against Stripe and not the log", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gateway.RetrieveIntent(ctx, "pi_1"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrRetry) {
		t.Errorf("given up by ourselves: %v", err)
	}
	if _, _, err := gateway.FindIntent(t.Context(), "x' OR status:'succeeded"); !errors.Is(err, events.ErrBadID) {
		t.Errorf("hostile order id: %v", err)
	}
}
