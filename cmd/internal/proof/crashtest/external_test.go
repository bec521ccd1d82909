//go:build unix

package crashtest_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"tillstream/notifications/inbox"
	"tillstream/payments/sandbox"
)

// bank is a Stripe sandbox in the test's process that records the Idempotency-Keys of all POST requests.
type bank struct {
	url    string
	server *sandbox.Server

	mu   sync.Mutex
	keys map[string][]string // Idempotency-Keys by path, in order
}

func openBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{keys: map[string][]string{}}
	config := sandbox.Config{SecretKey: secretKey, PublishableKey: publishableKey, WebhookSecret: webhookSecret, Intercept: b.record,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))}
	var err error
	if b.server, err = sandbox.New(config); err != nil {
		t.Fatal(err)
	}
	b.url = serve(t, b.server)
	ctx, cancel := context.WithCancel(context.Background())
	delivered := make(chan error, 1)
	go func() { delivered <- b.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-delivered, b.server.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// record implements [sandbox.Interceptor].
func (b *bank) record(_ context.Context, r sandbox.Request, work func() sandbox.Answer) sandbox.Answer {
	if r.Method == http.MethodPost {
		b.mu.Lock()
		b.keys[r.Path] = append(b.keys[r.Path], r.IdempotencyKey)
		b.mu.Unlock()
	}
	return work()
}

// keysOf returns the Idempotency-Keys of the requests to a path, in order.
func (b *bank) keysOf(path string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.keys[path])
}

func (b *bank) deliverTo(t *testing.T, storefront string) {
	t.Helper()
	if err := b.server.SetWebhookURL(storefront + "/webhooks/stripe"); err != nil {
		t.Fatal(err)
	}
}

// mailbox is a mail server in the test's process.
type mailbox struct{ smtp, page string }

func openMailbox(t *testing.T) mailbox {
	t.Helper()
	box, err := inbox.Start(inbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Stop)
	return mailbox{smtp: "smtp://" + box.Addr() + "?tls=none", page: serve(t, box.Handler())}
}

func serve(t *testing.T, handler http.Handler) (origin string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections() // workers keep their connections open
		server.Close()
	})
	return server.URL
}
