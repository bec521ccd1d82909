package sandbox_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"tillstream/payments/sandbox"
)

// waitLimit ends tests that wait for what never happens.
const waitLimit = 10 * time.Second

// receiver is the shop's side of webhooks. It says yes unless told otherwise.
type receiver struct {
	*httptest.Server
	events   chan stripe.Event
	failures atomic.Int64 // how many deliveries to refuse first
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{events: make(chan stripe.Event, 1000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Errorf("read webhook: %v", err)
		}
		e, err := webhook.ConstructEvent(body, request.Header.Get("Stripe-Signature"), webhookSecret)
		if err != nil {
			t.Errorf("webhook is not genuine: %v", err)
		}
		if r.failures.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.events <- e
	}))
	t.Cleanup(r.Close)
	return r
}

// await returns the next event of that type and passes over others.
func (r *receiver) await(t *testing.T, kind string) *stripe.Event {
	t.Helper()
	limit := time.After(waitLimit)
	for {
		select {
		case e := <-r.events:
			if string(e.Type) == kind {
				return &e
			}
		case <-limit:
			t.Fatalf("no %s was delivered", kind)
		}
	}
}

// run delivers until the returned function is called.
func (w *world) run() (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		w.t.Helper()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				w.t.Errorf("run: %v", err)
			}
		case <-time.After(waitLimit):
			w.t.Fatal("Run does not end with its context")
		}
	}
}

func deliveringTo(r *receiver) func(*sandbox.Config) {
	return func(c *sandbox.Config) {
		c.WebhookURL = r.URL
		c.RetryDelays = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	}
}

// awaitDelivered waits until Stripe considers the event delivered.
func (w *world) awaitDelivered(id string) {
	w.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(waitLimit)
	for {
		e, err := w.stripe.Events.Get(id, nil)
		if err != nil {
			w.t.Fatalf("get event: %v", err)
		}
		if e.PendingWebhooks == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatalf("event %s stays undelivered", id)
		}
	}
}

func TestWebhooksAreSignedAndComplete(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newWorld(t, deliveringTo(r))
	defer w.run()()
	in := w.create()
	params := &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")}
	params.SetIdempotencyKey("order-1/confirm")
	confirmed, err := w.stripe.PaymentIntents.Confirm(in.ID, params)
	if err != nil {
		t.Fatal(err)
	}
	e := r.await(t, "payment_intent.amount_capturable_updated")
	if e.APIVersion != "2023-10-16" || e.Livemode || e.PendingWebhooks != 1 || !strings.HasPrefix(e.ID, "evt_") {
		t.Errorf("event %+v", e)
	}
	if e.Request.ID != confirmed.LastResponse.RequestID || e.Request.IdempotencyKey != "order-1/confirm" {
		t.Errorf("request %+v", e.Request)
	}
	var told stripe.PaymentIntent
	if err := told.UnmarshalJSON(e.Data.Raw); err != nil {
		t.Fatal(err)
	}
	if told.ID != in.ID || told.AmountCapturable != 1250 || told.Metadata["order_id"] != "order-1" {
		t.Errorf("snapshot %+v", told)
	}
	w.awaitDelivered(e.ID)
}

func TestOnlySubscribedEventsAreDelivered(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newWorld(t, deliveringTo(r), func(c *sandbox.Config) { c.WebhookEvents = []string{"charge.captured"} })
	stop := w.run()
	w.captured()
	w.captured()
	first, second := <-r.events, <-r.events
	stop()
	if first.Type != "charge.captured" || second.Type != "charge.captured" || len(r.events) != 0 {
		t.Errorf("delivered %s, %s and %d more", first.Type, second.Type, len(r.events))
	}
}

func TestRefusedWebhooksAreTriedAgain(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.failures.Store(3)
	w := newWorld(t, deliveringTo(r))
	defer w.run()()
	w.authorized()
	w.awaitDelivered(r.await(t, "payment_intent.amount_capturable_updated").ID)
}

func TestWebhooksAreGivenUpAtTheEndOfTheCalendar(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.failures.Store(1 << 40)
	w := newWorld(t, inFolder(t.TempDir()), deliveringTo(r))
	stop := w.run()
	w.authorized()
	events := w.stripe.Events.List(&stripe.EventListParams{Type: stripe.String("payment_intent.amount_capturable_updated")}).EventList()
	w.awaitDelivered(events.Data[0].ID)
	stop()
	if tries := 1<<40 - r.failures.Load(); tries != 4 {
		t.Errorf("tried %d times, want once and three retries", tries)
	}
}

func TestUndeliveredWebhooksSurviveARestart(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newWorld(t, inFolder(t.TempDir()), deliveringTo(r))
	stop := w.run()
	delivered := w.authorized().ID
	e := r.await(t, "payment_intent.amount_capturable_updated")
	if e.GetObjectValue("id") != delivered {
		t.Fatalf("told of %s", e.GetObjectValue("id"))
	}
	w.awaitDelivered(e.ID)
	stop()
	missed := w.authorized().ID // nobody delivers
	w.restart()
	defer w.run()()
	if got := r.await(t, "payment_intent.amount_capturable_updated").GetObjectValue("id"); got != missed {
		t.Errorf("told of %s, want the missed %s and nothing twice", got, missed)
	}
}

func TestWebhooksWaitForAnAddress(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	w := newWorld(t)
	defer w.run()()
	id := w.authorized().ID
	if err := w.SetWebhookURL("nowhere"); err == nil {
		t.Error("an address that is none was taken")
	}
	if err := w.SetWebhookURL(r.URL); err != nil {
		t.Fatal(err)
	}
	if got := r.await(t, "payment_intent.amount_capturable_updated").GetObjectValue("id"); got != id {
		t.Errorf("told of %s, want %s", got, id)
	}
}

func TestRunEndsWhileADeliveryHangs(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{}, 100)
	shop := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		hanging <- struct{}{}
		<-r.Context().Done()
	}))
	defer shop.Close()
	w := newWorld(t, func(c *sandbox.Config) { c.WebhookURL = shop.URL })
	stop := w.run()
	w.authorized()
	<-hanging
	stop()
}
