package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/embedded"
	"tillstream/events/embedded/natsfile"
	"tillstream/notifications/inbox"
	"tillstream/payments/sandbox"
)

// servers are the servers that the shop needs. Each is embedded unless the configuration names another one.
type servers struct {
	config  Config
	secrets secrets
	logger  *slog.Logger

	nats    *embedded.NATS
	mongo   *embedded.Mongo
	inbox   *inbox.Inbox
	sandbox *sandbox.Server

	http          net.Listener
	ops           net.Listener
	sandboxListen net.Listener
}

// startServers starts the embedded servers; a closed shop needs only the broker and the database. On an error it stops those
// that had started.
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
		if all.ops, err = api.Listen("the staff console", config.Ops); err != nil {
			return nil, err
		}
		steps = append(steps, all.startInbox, all.startSandbox)
	}
	// All start at once, because each reads its data first, which takes seconds with many orders.
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
		s.nats, err = embedded.StartNATS(embedded.NATSConfig{Dir: s.config.dir("nats"), Addr: s.config.NATS, Logger: s.logger,
			Token: s.secrets.NATSToken})
	}
	return err
}

func (s *servers) startMongo() (err error) {
	if s.config.MongoURI == "" {
		s.mongo, err = embedded.StartMongo(embedded.MongoConfig{Dir: s.config.dir("mongo"), Addr: s.config.Mongo, Logger: s.logger,
			KeyFile: s.config.dir("mongo.key")})
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
	s.sandbox, err = sandbox.New(sandbox.Config{DataDir: s.config.dir("stripe"), Logger: s.logger, BaseURL: s.browserSandboxURL(),
		SecretKey: s.secrets.StripeSecretKey, PublishableKey: s.secrets.StripePublishableKey,
		WebhookSecret: s.secrets.StripeWebhookSecret, WebhookURL: s.storefrontURL() + "/webhooks/stripe"})
	return err
}

func (s *servers) storefrontURL() string { return urlOf(s.http) }

// urlOf returns the address of an HTTP server for this machine.
func urlOf(l net.Listener) string { return "http://" + embedded.DialAddr(l.Addr().String()) }

func (s *servers) publicURL() string {
	if s.config.PublicURL != "" {
		return s.config.PublicURL
	}
	return s.storefrontURL()
}

// sandboxURL returns the address of the embedded or another sandbox; empty when Stripe itself takes the payments.
func (s *servers) sandboxURL() string {
	if s.sandboxListen == nil {
		return s.config.StripeAPIBase
	}
	return urlOf(s.sandboxListen)
}

// browserSandboxURL returns the address of the sandbox for shoppers. On all addresses of the machine they reach it at that of
// the storefront.
func (s *servers) browserSandboxURL() string {
	if s.config.SandboxURL != "" {
		return strings.TrimSuffix(s.config.SandboxURL, "/")
	}
	if s.sandboxListen == nil || embedded.DialAddr(s.sandboxListen.Addr().String()) == s.sandboxListen.Addr().String() {
		return s.sandboxURL()
	}
	public, err := url.Parse(s.publicURL())
	_, port, portErr := net.SplitHostPort(s.sandboxListen.Addr().String())
	if err != nil || portErr != nil {
		return s.sandboxURL()
	}
	return "http://" + net.JoinHostPort(public.Hostname(), port)
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
	return "smtp://" + embedded.DialAddr(s.inbox.Addr()) + "?tls=none"
}

// connect opens a connection to the broker for one domain.
func (s *servers) connect(ctx context.Context, name string) (*nats.Conn, error) {
	if s.nats == nil {
		return process.Connect(ctx, s.config.NATSURL, name, s.logger)
	}
	conn, err := s.nats.Conn(process.Options(name, s.logger)...)
	if err != nil {
		return nil, fmt.Errorf("connect %s to embedded broker: %w", name, err)
	}
	return conn, nil
}

// checks are the conditions of the embedded servers.
func (s *servers) checks() []process.Check {
	if s.nats == nil {
		return nil
	}
	return []process.Check{{Code: process.CodeDiskFull, Problem: s.nats.Problem}, {Code: process.CodeStoreDamaged, Problem: s.damage}}
}

// watch keeps the embedded broker able to write, until ctx ends.
func (s *servers) watch(ctx context.Context) error {
	if s.nats == nil {
		return nil
	}
	return s.nats.Watch(ctx)
}

// sync returns the function that writes the embedded database to disk; nil for another database, which writes by itself.
func (s *servers) sync() func() error {
	if s.mongo == nil {
		return nil
	}
	return s.mongo.Sync
}

// storeLimit returns how many bytes the embedded broker may store; nil for another broker.
func (s *servers) storeLimit() func() int64 {
	if s.nats == nil {
		return nil
	}
	return s.nats.MaxStore
}

// damage returns what the embedded broker had lost when it started, besides events of the log: the lanes report those, which are
// in the archive.
func (s *servers) damage() error {
	var problems []error
	for _, d := range s.nats.Damage() {
		if d.Stream != events.StreamShop || d.Part != natsfile.Messages {
			problems = append(problems, errors.New(d.String()))
		}
	}
	return errors.Join(problems...)
}

// storeDamage reports the damage that the embedded broker has found at its start.
func (s *servers) storeDamage() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tillstream_store_damage",
		Help: "Damaged places with a loss that the embedded broker found in its files when it started."}, func() float64 {
		if s.nats == nil {
			return 0
		}
		return float64(len(s.nats.Damage()))
	})
}

// freeBytes reports the free space on the disk of the data directory; 0, as for a full disk, if it cannot be determined.
func freeBytes(dir string, logger *slog.Logger) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tillstream_data_free_bytes",
		Help: "Free bytes on the disk of the data directory."}, func() float64 {
		free, err := embedded.FreeBytes(dir)
		if err != nil {
			logger.Warn("free disk space unknown", "error", err)
		}
		return float64(free)
	})
}

// holder returns the name under which the shop takes leases. With the embedded broker, only one process uses the data
// directory, so a fixed name lets a restarted shop take over the leases of a killed one at once. With another broker the
// name is random, and those leases must expire first.
func (s *servers) holder() string {
	if s.nats == nil {
		return ""
	}
	return "shop"
}

// ready returns the content of the ready file.
func (s *servers) ready() target.Shop {
	r := target.Shop{Storefront: s.storefrontURL(), Ops: urlOf(s.ops), Console: s.consoleURL(), OpsKey: s.secrets.OpsKey, MongoDB: s.mongoURI(), NATS: s.natsURL(),
		Stripe: s.sandboxURL(), StripeSecretKey: s.secrets.StripeSecretKey, StripePublishableKey: s.secrets.StripePublishableKey}
	if s.inbox != nil {
		r.Mail = s.storefrontURL()
	}
	return r
}

// serveSandbox serves Stripe's API and delivers webhooks until ctx ends.
func (s *servers) serveSandbox(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.sandbox.Run(ctx) }()
	serveErr := api.Serve(ctx, s.sandboxListen, s.checkHost(s.sandbox, s.sandboxListen), process.HTTPGrace)
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		return errors.Join(serveErr, err)
	}
	return serveErr
}

// checkHost refuses requests to names that are not the shop's.
func (s *servers) checkHost(next http.Handler, l net.Listener) http.Handler {
	return api.CheckHost(next, l.Addr(), append(s.config.AllowedHosts, s.config.PublicURL, s.config.SandboxURL)...)
}

// mailbox returns the pages of the embedded inbox; nil with another mail server.
func (s *servers) mailbox() http.Handler {
	if s.inbox == nil {
		return nil
	}
	return s.inbox.Handler()
}

// stop stops the servers, the broker last, because the others need it.
func (s *servers) stop() error {
	var problems []error
	for _, l := range []net.Listener{s.http, s.ops, s.sandboxListen} {
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
