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

// waitLimit bounds every wait.
const waitLimit = 10 * time.Second

// receiver receives webhooks as the shop does.
type receiver struct {
	*httptest.Server
	events   chan stripe.Event
	failures atomic.Int64 // how many deliveries to answer with 503 first
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
			t.Errorf("webhook signature: %v", err)
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

// await returns the next event of that type and skips others.
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
			t.Fatalf("after %s: got no %s, want one", waitLimit, kind)
		}
	}
}

// run delivers until the returned function is called.
func (s *testServer) run() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		s.t.Helper()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				s.t.Errorf("run: %v", err)
			}
		case <-time.After(waitLimit):
			s.t.Fatalf("after %s: Run has not ended with its context", waitLimit)
		}
	}
}

func deliveringTo(r *receiver) func(*sandbox.Config) {
	return func(c *sandbox.Config) {
		c.WebhookURL = r.URL
		c.RetryDelays = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	}
}

// awaitDelivered waits until the event needs no further delivery.
func (s *testServer) awaitDelivered(id string) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(waitLimit)
	for {
		e, err := s.stripe.Events.Get(id, nil)
		if err != nil {
			s.t.Fatalf("get event: %v", err)
		}
		if e.PendingWebhooks == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatalf("after %s: event %s is not delivered", waitLimit, id)
		}
	}
}

func TestWebhooksAreSignedAndComplete(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	s := newTestServer(t, deliveringTo(r))
	defer s.run()()
	in := s.create()
	params := &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")}
	params.SetIdempotencyKey("order-1/confirm")
	confirmed, err := s.stripe.PaymentIntents.Confirm(in.ID, params)
	if err != nil {
		t.Fatal(err)
	}
	e := r.await(t, "payment_intent.amount_capturable_updated")
	if e.APIVersion != "2023-10-16" || e.Livemode || e.PendingWebhooks != 1 || !strings.HasPrefix(e.ID, "evt_") {
		t.Errorf("got event %+v, want evt_… of 2023-10-16 in test mode, pending", e)
	}
	if e.Request.ID != confirmed.LastResponse.RequestID || e.Request.IdempotencyKey != "order-1/confirm" {
		t.Errorf("got request %+v, want %s with order-1/confirm", e.Request, confirmed.LastResponse.RequestID)
	}
	var snapshot stripe.PaymentIntent
	if err := snapshot.UnmarshalJSON(e.Data.Raw); err != nil {
		t.Fatal(err)
	}
	if snapshot.ID != in.ID || snapshot.AmountCapturable != 1250 || snapshot.Metadata["order_id"] != "order-1" {
		t.Errorf("got snapshot %+v, want the authorized intent", snapshot)
	}
	s.awaitDelivered(e.ID)
}

func TestOnlySubscribedEventsAreDelivered(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	s := newTestServer(t, deliveringTo(r), func(c *sandbox.Config) { c.WebhookEvents = []string{"charge.captured"} })
	stop := s.run()
	s.captured()
	s.captured()
	first, second := <-r.events, <-r.events
	stop()
	if first.Type != "charge.captured" || second.Type != "charge.captured" || len(r.events) != 0 {
		t.Errorf("got %s, %s and %d more, want two charge.captured", first.Type, second.Type, len(r.events))
	}
}

func TestFailedWebhooksAreRetried(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.failures.Store(3)
	s := newTestServer(t, deliveringTo(r))
	defer s.run()()
	s.authorized()
	s.awaitDelivered(r.await(t, "payment_intent.amount_capturable_updated").ID)
}

func TestWebhooksAreAbandonedAfterTheLastDelay(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.failures.Store(1 << 40)
	s := newTestServer(t, inDir(t.TempDir()), deliveringTo(r))
	stop := s.run()
	s.authorized()
	events := s.stripe.Events.List(&stripe.EventListParams{Type: stripe.String("payment_intent.amount_capturable_updated")}).EventList()
	s.awaitDelivered(events.Data[0].ID)
	stop()
	if attempts := 1<<40 - r.failures.Load(); attempts != 4 {
		t.Errorf("got %d attempts, want 4", attempts)
	}
}

func TestUndeliveredWebhooksSurviveARestart(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	s := newTestServer(t, inDir(t.TempDir()), deliveringTo(r))
	stop := s.run()
	delivered := s.authorized().ID
	e := r.await(t, "payment_intent.amount_capturable_updated")
	if e.GetObjectValue("id") != delivered {
		t.Fatalf("got an event of %s, want one of %s", e.GetObjectValue("id"), delivered)
	}
	s.awaitDelivered(e.ID)
	stop()
	missed := s.authorized().ID // before the next Run
	s.restart()
	defer s.run()()
	if got := r.await(t, "payment_intent.amount_capturable_updated").GetObjectValue("id"); got != missed {
		t.Errorf("got an event of %s, want the missed one of %s", got, missed)
	}
}

func TestWebhooksWaitForAURL(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	s := newTestServer(t)
	defer s.run()()
	id := s.authorized().ID
	if err := s.SetWebhookURL("nowhere"); err == nil {
		t.Error("SetWebhookURL of an invalid URL: got no error, want one")
	}
	if err := s.SetWebhookURL(r.URL); err != nil {
		t.Fatal(err)
	}
	if got := r.await(t, "payment_intent.amount_capturable_updated").GetObjectValue("id"); got != id {
		t.Errorf("got an event of %s, want %s", got, id)
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
	s := newTestServer(t, func(c *sandbox.Config) { c.WebhookURL = shop.URL })
	stop := s.run()
	s.authorized()
	<-hanging
	stop()
}
