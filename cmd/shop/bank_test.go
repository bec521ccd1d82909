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
	"sync/atomic"
	"testing"
	"time"

	"tillstream/payments/sandbox"
)

// bank is a sandbox that the test controls: it can hold back webhooks and answers about an intent.
type bank struct {
	server *sandbox.Server
	url    string
	ended  chan struct{} // closed at the end of the test
	kept   atomic.Int64  // refused cancellations: what a bank processes cannot be cancelled

	mu       sync.Mutex
	webhooks map[string]chan struct{} // by intent: its webhooks wait until the channel is closed
	answers  map[string]chan struct{} // by intent: answers to the shop wait likewise
}

// Keys of the bank.
const (
	bankSecretKey      = "sk_test_tillstream_bank"
	bankPublishableKey = "pk_test_tillstream_bank"
	bankWebhookSecret  = "whsec_bank_0123456789abcdef"
)

// startShopWithBank opens a shop that uses a bank.
func startShopWithBank(t *testing.T, change func(*Config)) (*testShop, *bank) {
	t.Helper()
	b := startBank(t)
	ts := startShop(t, func(c *Config) {
		b.configure(c)
		change(c)
	})
	t.Cleanup(func() { close(b.ended) }) // before the shop closes, which waits for answers
	b.sendWebhooksTo(t, ts)
	return ts, b
}

// startBank starts a bank that stops at the end of the test, after the shops that are opened later.
func startBank(t *testing.T) *bank {
	t.Helper()
	return startBankAt(t, time.Now)
}

// startBankAt starts a bank with a clock. Webhooks of one that is more than five minutes slow are refused.
func startBankAt(t *testing.T, now func() time.Time) *bank {
	t.Helper()
	b := &bank{ended: make(chan struct{}), webhooks: map[string]chan struct{}{}, answers: map[string]chan struct{}{}}
	var err error
	b.server, err = sandbox.New(sandbox.Config{SecretKey: bankSecretKey, PublishableKey: bankPublishableKey, WebhookSecret: bankWebhookSecret,
		Intercept: b.intercept, WebhookClient: &http.Client{Transport: b, Timeout: time.Minute}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(b.server)
	b.url = web.URL
	ctx, cancel := context.WithCancel(context.Background())
	delivered := make(chan error, 1)
	go func() { delivered <- b.server.Run(ctx) }()
	t.Cleanup(func() { // after the shop has stopped
		cancel()
		web.CloseClientConnections()
		web.Close()
		if err := errors.Join(<-delivered, b.server.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// configure has a shop use the bank.
func (b *bank) configure(c *Config) {
	c.StripeAPIBase, c.StripeSecretKey, c.StripePublishableKey, c.StripeWebhookSecret = b.url, bankSecretKey, bankPublishableKey, bankWebhookSecret
}

// sendWebhooksTo sets where the bank sends its webhooks.
func (b *bank) sendWebhooksTo(t *testing.T, ts *testShop) {
	t.Helper()
	if err := b.server.SetWebhookURL(ts.Storefront + "/webhooks/stripe"); err != nil {
		t.Fatal(err)
	}
}

// holdWebhooks holds the webhooks about an intent back until release is called.
func (b *bank) holdWebhooks(in string) (release func()) { return b.hold(b.webhooks, in) }

// holdAnswers holds answers to the shop about an intent back until release is called.
func (b *bank) holdAnswers(in string) (release func()) { return b.hold(b.answers, in) }

func (b *bank) hold(held map[string]chan struct{}, in string) (release func()) {
	gate := make(chan struct{})
	b.mu.Lock()
	defer b.mu.Unlock()
	held[in] = gate
	return sync.OnceFunc(func() { close(gate) })
}

// pass waits until nothing about an intent in the text is held back.
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

// intercept implements [sandbox.Interceptor]. Only the shop must wait: shoppers and staff send no idempotency key.
func (b *bank) intercept(ctx context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
	if r.Method == http.MethodGet || r.IdempotencyKey != "" {
		b.pass(ctx, b.answers, r.Path)
	}
	a := work()
	if strings.HasSuffix(r.Path, "/cancel") && a.Status == http.StatusBadRequest {
		b.kept.Add(1)
	}
	return a
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
	b.pass(r.Context(), b.webhooks, string(body))
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	return http.DefaultTransport.RoundTrip(again)
}
