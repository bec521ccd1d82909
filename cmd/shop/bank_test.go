package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/payments/sandbox"
)

// bank is a Stripe of the test's own, which can be made slow: what is held back about an intent waits until it is let go.
type bank struct {
	server *sandbox.Server
	url    string
	ended  chan struct{} // closed when the test is over

	mu     sync.Mutex
	silent map[string]chan struct{} // by intent: webhooks wait until it is closed
	slow   map[string]chan struct{} // by intent: the shop's requests wait likewise
}

// Keys of the bank, as the shop's owner would put them into the environment.
const (
	bankSecretKey      = "sk_test_tillstream_bank"
	bankPublishableKey = "pk_test_tillstream_bank"
	bankWebhookSecret  = "whsec_bank"
)

// startShopWithBank opens a shop that is paid through a bank which the test controls.
func startShopWithBank(t *testing.T, change func(*Config)) (*testShop, *bank) {
	t.Helper()
	b := startBank(t)
	m := startShop(t, func(c *Config) {
		b.takeMoneyFor(c)
		change(c)
	})
	t.Cleanup(func() { close(b.ended) }) // before the shop closes: it waits for answers
	b.tell(t, m)
	return m, b
}

// startBank starts a bank that ends with the test, after the shops that are opened later.
func startBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{ended: make(chan struct{}), silent: map[string]chan struct{}{}, slow: map[string]chan struct{}{}}
	var err error
	b.server, err = sandbox.New(sandbox.Config{SecretKey: bankSecretKey, PublishableKey: bankPublishableKey, WebhookSecret: bankWebhookSecret,
		Intercept: b.intercept, WebhookClient: &http.Client{Transport: b, Timeout: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(b.server)
	b.url = web.URL
	ctx, cancel := context.WithCancel(context.Background())
	delivered := make(chan error, 1)
	go func() { delivered <- b.server.Run(ctx) }()
	t.Cleanup(func() { // after the shop has closed
		cancel()
		web.CloseClientConnections()
		web.Close()
		if err := errors.Join(<-delivered, b.server.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// takeMoneyFor has a shop use the bank.
func (b *bank) takeMoneyFor(c *Config) {
	c.StripeURL, c.StripeSecretKey, c.StripePublishableKey, c.StripeWebhookSecret = b.url, bankSecretKey, bankPublishableKey, bankWebhookSecret
}

// tell has the bank send its webhooks to a shop.
func (b *bank) tell(t *testing.T, m *testShop) {
	t.Helper()
	if err := b.server.SetWebhookURL(m.Storefront + "/webhooks/stripe"); err != nil {
		t.Fatal(err)
	}
}

// holdWebhooks keeps what Stripe says of an intent until the returned function is called.
func (b *bank) holdWebhooks(in string) (release func()) { return b.hold(b.silent, in) }

// holdAnswers keeps the shop waiting for what it asks about an intent.
func (b *bank) holdAnswers(in string) (release func()) { return b.hold(b.slow, in) }

func (b *bank) hold(held map[string]chan struct{}, in string) (release func()) {
	gate := make(chan struct{})
	b.mu.Lock()
	defer b.mu.Unlock()
	held[in] = gate
	return sync.OnceFunc(func() { close(gate) })
}

// pass waits until nothing that concerns the text is held back.
func (b *bank) pass(ctx context.Context, held map[string]chan struct{}, text string) {
	for {
		gate := b.gate(held, text)
		if gate == nil {
			return
		}
		select {
		case <-gate:
			return
		case <-b.ended:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (b *bank) gate(held map[string]chan struct{}, text string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	for in, gate := range held {
		if strings.Contains(text, in) {
			return gate
		}
	}
	return nil
}

// intercept implements [sandbox.Interceptor]. Only the shop is kept waiting: shoppers and staff send no idempotency key.
func (b *bank) intercept(ctx context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
	if r.Method == http.MethodGet || r.IdempotencyKey != "" {
		b.pass(ctx, b.slow, r.Path)
	}
	return work()
}

// RoundTrip implements [http.RoundTripper] for webhooks.
func (b *bank) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Body.Close(); err != nil {
		return nil, err
	}
	b.pass(r.Context(), b.silent, string(body))
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	return http.DefaultTransport.RoundTrip(again)
}
