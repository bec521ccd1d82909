package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"tillstream/notifications/inbox"
	"tillstream/payments/sandbox"
)

// inboxSize is how many mails the inbox keeps. The checks after a long run read all of them.
const inboxSize = 1 << 20

// OutsideConfig configures [StartOutside].
type OutsideConfig struct {
	Keys   Keys
	Logger *slog.Logger
}

// Keys are the API keys and the webhook secret that the shop shares with Stripe.
type Keys struct {
	Publishable string
	Secret      string
	Webhook     string
}

// Outside is the external services of the shop: Stripe and a mail server. They stop after the shop.
type Outside struct {
	Inbox  *inbox.Inbox
	Mail   string // origin of the inbox's web page
	SMTP   string // URL of the inbox, for SMTP_URL
	Stripe string // origin of Stripe

	sandbox   *sandbox.Server
	servers   []*http.Server
	stop      context.CancelFunc
	delivered chan error
	serving   sync.WaitGroup
	logger    *slog.Logger
}

// StartOutside starts the Stripe sandbox and the mail inbox.
func StartOutside(config OutsideConfig) (*Outside, error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	o := &Outside{delivered: make(chan error, 1), logger: config.Logger}
	var err error
	if o.Inbox, err = inbox.Start(inbox.Config{Keep: inboxSize, Logger: config.Logger}); err != nil {
		return nil, err
	}
	o.sandbox, err = sandbox.New(sandbox.Config{SecretKey: config.Keys.Secret, PublishableKey: config.Keys.Publishable,
		WebhookSecret: config.Keys.Webhook, Logger: config.Logger})
	if err != nil {
		o.Inbox.Stop()
		return nil, err
	}
	var ctx context.Context
	ctx, o.stop = context.WithCancel(context.Background())
	go func() { o.delivered <- o.sandbox.Run(ctx) }()
	o.SMTP = "smtp://" + o.Inbox.Addr() + "?tls=none"
	if o.Stripe, err = o.serve(o.sandbox); err == nil {
		o.Mail, err = o.serve(o.Inbox.Handler())
	}
	if err != nil {
		return nil, errors.Join(err, o.Stop())
	}
	return o, nil
}

func (o *Outside) serve(handler http.Handler) (origin string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for Stripe or the inbox: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	o.servers = append(o.servers, server)
	o.serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.logger.Error("serve Stripe or the inbox", "error", err)
		}
	})
	return "http://" + listener.Addr().String(), nil
}

// DeliverWebhooksTo sets the storefront that receives webhooks, as a load balancer in front of the storefronts does.
func (o *Outside) DeliverWebhooksTo(storefront string) error {
	return o.sandbox.SetWebhookURL(storefront + "/webhooks/stripe")
}

// SetFaults begins faults of Stripe and its webhooks, and ends those before.
func (o *Outside) SetFaults(f sandbox.Faults) error { return o.sandbox.SetFaults(f) }

// Faults returns the faults in force.
func (o *Outside) Faults() sandbox.Faults { return o.sandbox.Faults() }

// Stop stops both servers.
func (o *Outside) Stop() error {
	o.stop()
	err := <-o.delivered
	for _, server := range o.servers {
		err = errors.Join(err, server.Close()) // not Shutdown, which waits for the connections that a worker keeps open
	}
	o.serving.Wait()
	o.Inbox.Stop()
	return errors.Join(err, o.sandbox.Close())
}
