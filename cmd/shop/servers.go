package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/cmd/internal/process"
	"tillstream/events/api"
	"tillstream/events/embedded"
	"tillstream/notifications/inbox"
	"tillstream/payments/sandbox"
)

// servers are what the shop stands on. Each is embedded unless the configuration names another one.
type servers struct {
	config  Config
	secrets secrets
	logger  *slog.Logger

	nats    *embedded.NATS
	mongo   *embedded.Mongo
	inbox   *inbox.Inbox
	sandbox *sandbox.Server

	http          net.Listener
	sandboxListen net.Listener
}

// startServers starts what is embedded, of a closed shop broker and database alone. On an error it stops what had started.
func startServers(config Config, s secrets, logger *slog.Logger) (_ *servers, err error) {
	all := &servers{config: config, secrets: s, logger: logger}
	defer func() {
		if err != nil {
			err = errors.Join(err, all.stop())
		}
	}()
	steps := []func() error{all.startNATS, all.startMongo}
	if !config.Closed {
		if all.http, err = api.Listen("the storefront", config.HTTP); err != nil {
			return nil, err
		}
		steps = append(steps, all.startInbox, all.startSandbox)
	}
	// All at once: each reads back what it kept, and with many orders that is seconds.
	problems := make([]error, len(steps))
	var starting sync.WaitGroup
	for i, step := range steps {
		starting.Go(func() { problems[i] = step() })
	}
	starting.Wait()
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return all, nil
}

func (s *servers) startNATS() (err error) {
	if s.config.NATSURL == "" {
		s.nats, err = embedded.StartNATS(embedded.NATSConfig{Dir: s.config.dir("nats"), Addr: s.config.NATS, Logger: s.logger})
	}
	return err
}

func (s *servers) startMongo() (err error) {
	if s.config.MongoURI == "" {
		s.mongo, err = embedded.StartMongo(embedded.MongoConfig{Dir: s.config.dir("mongo"), Addr: s.config.Mongo, Logger: s.logger})
	}
	return err
}

func (s *servers) startInbox() (err error) {
	if s.config.SMTPURL == "" {
		s.inbox, err = inbox.Start(inbox.Config{Addr: s.config.SMTP, Dir: s.config.dir("mail"), Logger: s.logger})
	}
	return err
}

func (s *servers) startSandbox() (err error) {
	if !s.config.sandboxed() {
		return nil
	}
	if s.sandboxListen, err = api.Listen("the Stripe sandbox", s.config.Stripe); err != nil {
		return err
	}
	s.sandbox, err = sandbox.New(sandbox.Config{DataDir: s.config.dir("stripe"), Logger: s.logger, BaseURL: s.sandboxURL(),
		SecretKey: s.secrets.StripeSecretKey, PublishableKey: s.secrets.StripePublishableKey,
		WebhookSecret: s.secrets.StripeWebhookSecret, WebhookURL: s.storefrontURL() + "/webhooks/stripe"})
	return err
}

func (s *servers) storefrontURL() string { return "http://" + s.http.Addr().String() }

func (s *servers) publicURL() string {
	if s.config.PublicURL != "" {
		return s.config.PublicURL
	}
	return s.storefrontURL()
}

// sandboxURL is where the sandbox is, the embedded one or another; empty when the real Stripe takes the money.
func (s *servers) sandboxURL() string {
	if s.sandboxListen == nil {
		return s.config.StripeURL
	}
	return "http://" + s.sandboxListen.Addr().String()
}

func (s *servers) natsURL() string {
	if s.nats == nil {
		return s.config.NATSURL
	}
	return s.nats.URL()
}

func (s *servers) mongoURI() string {
	if s.mongo == nil {
		return s.config.MongoURI
	}
	return s.mongo.URI()
}

func (s *servers) smtpURL() string {
	if s.inbox == nil {
		return s.config.SMTPURL
	}
	return "smtp://" + s.inbox.Addr() + "?tls=none"
}

// connect opens a connection to the broker for one domain.
func (s *servers) connect(ctx context.Context, name string) (*nats.Conn, error) {
	if s.nats == nil {
		return process.Connect(ctx, s.config.NATSURL, name, s.logger)
	}
	conn, err := s.nats.Conn(process.Options(name, s.logger)...)
	if err != nil {
		return nil, fmt.Errorf("connect %s to the embedded broker: %w", name, err)
	}
	return conn, nil
}

// sync makes what the projections wrote to the embedded database last; nil for another database, which does so itself.
func (s *servers) sync() func() error {
	if s.mongo == nil {
		return nil
	}
	return s.mongo.Sync
}

// storeLimit is how many bytes the embedded broker may keep; nil for another broker.
func (s *servers) storeLimit() func() int64 {
	if s.nats == nil {
		return nil
	}
	return s.nats.MaxStore
}

// freeBytes shows how much more may be written to the disk of the data directory; what cannot be looked at is 0, as a full disk is.
func freeBytes(dir string, logger *slog.Logger) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tillstream_data_free_bytes",
		Help: "Bytes that may still be written to the disk of the data directory."}, func() float64 {
		free, err := embedded.FreeBytes(dir)
		if err != nil {
			logger.Warn("free bytes", "error", err)
		}
		return float64(free)
	})
}

// holder is in whose name the shop takes leases. On the embedded broker the data directory belongs to one process, so a shop
// that starts again takes over at once what a killed one held. On another broker it waits until those leases run out.
func (s *servers) holder() string {
	if s.nats == nil {
		return ""
	}
	return "shop"
}

// ready describes the servers for others.
func (s *servers) ready() Ready {
	r := Ready{Storefront: s.storefrontURL(), Ops: s.storefrontURL(), OpsToken: s.secrets.OpsToken, MongoDB: s.mongoURI(), NATS: s.natsURL(),
		Stripe: s.sandboxURL(), StripeSecretKey: s.secrets.StripeSecretKey, StripePublishableKey: s.secrets.StripePublishableKey}
	if s.inbox != nil {
		r.Mail = s.storefrontURL()
	}
	return r
}

// serveSandbox answers as Stripe and delivers its webhooks until ctx ends.
func (s *servers) serveSandbox(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.sandbox.Run(ctx) }()
	serveErr := api.Serve(ctx, s.sandboxListen, s.sandbox, process.HTTPGrace)
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		return errors.Join(serveErr, err)
	}
	return serveErr
}

// mailbox is the page of the embedded inbox, nil when mails go elsewhere.
func (s *servers) mailbox() http.Handler {
	if s.inbox == nil {
		return nil
	}
	return s.inbox.Handler()
}

// stop closes what runs, the ones that others stand on last.
func (s *servers) stop() error {
	var problems []error
	for _, l := range []net.Listener{s.http, s.sandboxListen} {
		if l != nil {
			if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				problems = append(problems, err)
			}
		}
	}
	if s.sandbox != nil {
		problems = append(problems, s.sandbox.Close())
	}
	if s.inbox != nil {
		s.inbox.Stop()
	}
	if s.mongo != nil {
		s.mongo.Stop()
	}
	if s.nats != nil {
		s.nats.Stop()
	}
	return errors.Join(problems...)
}
