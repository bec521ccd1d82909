package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"

	"tillstream/cmd/internal/auth"
	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/seed"
	"tillstream/cmd/internal/staff"
	"tillstream/cmd/internal/storefront"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
	"tillstream/events/worker"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// Run runs the shop until ctx ends and then stops it: first the workers finish what they have begun, then the HTTP servers
// close, then the embedded servers. When the shop is ready, Run prints its addresses to out.
func Run(ctx context.Context, config Config, logger *slog.Logger, out io.Writer) (err error) {
	if err := os.MkdirAll(config.Data, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	// The lock comes before the first write: of two shops that start at once in a new directory, the one that fails must not
	// write its own secrets over those of the other.
	data, err := embedded.LockDir(config.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	s, err := secretsOf(config, logger)
	if err != nil {
		return err
	}
	servers, err := startServers(config, s, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.stop()) }()
	if config.Closed {
		return stayClosed(ctx, config, servers, logger, out)
	}
	shop, err := build(ctx, config, servers, logger)
	if err != nil {
		return err
	}
	defer shop.close()
	return shop.run(ctx, func() error {
		invitation, err := shop.keepStaff(ctx) // before tools read the key from the ready file
		if err != nil {
			return err
		}
		ready := servers.ready()
		if err := writeReady(config, ready); err != nil {
			return err
		}
		printReady(out, ready, config, invitation.describe(servers.consoleOrigin()))
		return nil
	})
}

// secretsOf loads the secrets of the data directory, with the configured keys of Stripe instead of the sandbox's. A closed
// shop needs only the broker's token, of one run, and creates no file, because ops restore does not overwrite an existing one.
func secretsOf(config Config, logger *slog.Logger) (secrets, error) {
	if config.Closed {
		return secrets{NATSToken: rand.Text()}, nil
	}
	s, err := loadSecrets(config, logger)
	if err == nil && !config.sandboxed() {
		s.StripeSecretKey, s.StripePublishableKey, s.StripeWebhookSecret = config.StripeSecretKey, config.StripePublishableKey, config.StripeWebhookSecret
	}
	return s, err
}

// stayClosed runs the broker and the database until ctx ends, without any worker. It creates the streams in an empty store,
// so that ops restore can fill them.
func stayClosed(ctx context.Context, config Config, servers *servers, logger *slog.Logger, out io.Writer) error {
	conn, err := servers.connect(ctx, "closed")
	if err != nil {
		return err
	}
	defer conn.Close()
	l, err := eventlog.Open(ctx, conn, eventlog.Config{Source: "closed", Logger: logger})
	switch {
	case errors.Is(err, eventlog.ErrDrift), errors.Is(err, events.ErrNewer):
		logger.Warn("shop cannot open on this broker", "error", err) // operators repair the broker on the closed shop
	case err != nil:
		return err
	default:
		defer l.Close()
	}
	ready := target.Shop{NATS: servers.natsURL(), MongoDB: servers.mongoURI()}
	if err := writeReady(config, ready); err != nil {
		return err
	}
	printClosed(out, ready, config)
	<-ctx.Done()
	return nil
}

// cachedStates limits how many entities' states the process caches.
const cachedStates = 10_000

// shop is the four domains on one set of servers, with everything that they share.
type shop struct {
	config    Config
	servers   *servers
	logger    *slog.Logger
	inventory *inventory.Service
	host      *process.Host
	conn      *nats.Conn
	log       *eventlog.Log
	db        *mongo.Database
	mux       *api.Mux
	api       huma.API
	registry  *prometheus.Registry
	access    auth.Access
	directory *staff.Directory
	staff     *staff.Service

	dispatcher *worker.Dispatcher // for dry runs in the console
}

func build(ctx context.Context, config Config, servers *servers, logger *slog.Logger) (_ *shop, err error) {
	sh := &shop{config: config, servers: servers, logger: logger, mux: api.NewMux(), registry: process.NewRegistry()}
	sh.registry.MustRegister(freeBytes(config.Data, logger), servers.storeDamage())
	defer func() {
		if err != nil {
			sh.close()
		}
	}()
	tokens, err := auth.New(auth.Config{Secrets: servers.secrets.TokenSecret, Lifetime: config.TokenLifetime})
	if err != nil {
		return nil, err
	}
	if sh.db, err = project.Connect(ctx, servers.mongoURI()); err != nil {
		return nil, err
	}
	if sh.conn, err = servers.connect(ctx, "shop"); err != nil {
		return nil, err
	}
	sh.log, err = eventlog.Open(ctx, sh.conn, eventlog.Config{Source: "shop", Logger: logger, Registerer: sh.registry, CacheSize: cachedStates})
	if err != nil {
		return nil, err
	}
	if err := sh.openStaff(ctx, tokens); err != nil {
		return nil, err
	}
	domains, err := sh.domains()
	if err != nil {
		return nil, err
	}
	sh.api = api.New(sh.mux)
	for _, d := range domains {
		d.Register(sh.api)
	}
	sh.dispatcher = newDispatcher(domains)
	sh.host, err = process.NewHost(ctx, process.HostConfig{AuditEvery: config.AuditEvery, Checks: append(servers.checks(), config.testKeys()), DB: sh.db, Holder: servers.holder(), Log: sh.log,
		Registerer: sh.registry, StoreLimit: servers.storeLimit(), Sync: servers.sync()}, domains...)
	return sh, err
}

// domains builds the four domains. Each gets its own handle of the log, which appends under the domain's prefixes only.
func (sh *shop) domains() (domains []process.Domain, err error) {
	config, servers, l, access := sh.config, sh.servers, sh.log, sh.access
	logger := func(name string) *slog.Logger { return sh.logger.With("process", name) }
	sh.inventory, err = inventory.New(inventory.Config{Access: access, Charges: config.ChargeLimits, HoldLimit: inventory.HoldLimit(config.HoldLimit), Log: l.ForDomain("inventory"), Logger: logger("inventory")})
	if err != nil {
		return nil, err
	}
	order, err := orders.New(orders.Config{Access: access, Charges: config.ChargeLimits, DB: sh.db, Log: l.ForDomain("orders"), Logger: logger("orders"), HoldFor: config.HoldFor,
		Limits: orders.Limits(config.OrderLimits), MaxLines: config.MaxOrderLines, Shipping: config.ShippingFee, ExpireEvery: config.SweepEvery, Proxies: config.TrustedProxies, Streams: config.StreamLimits()})
	if err != nil {
		return nil, err
	}
	payment, err := payments.New(payments.Config{Access: access, Proxies: config.TrustedProxies, Waits: config.StreamLimits(), DB: sh.db, Log: l.ForDomain("payments"), Logger: logger("payments"), Registerer: sh.registry, StripeAPIBase: servers.sandboxURL(),
		SecretKey: servers.secrets.StripeSecretKey, PublishableKey: servers.secrets.StripePublishableKey,
		WebhookSecret: servers.secrets.StripeWebhookSecret, ReconcileEvery: config.SweepEvery, CardAttempts: config.CardAttempts, StripeRate: config.StripeRate, Capture: config.Capture, Methods: config.Methods})
	if err != nil {
		return nil, err
	}
	notification, err := notifications.New(notifications.Config{Access: access, Log: l.ForDomain("notifications"), Logger: logger("notifications"), Registerer: sh.registry, From: config.MailFrom,
		EHLO: config.SMTPEHLO, SMTPURL: servers.smtpURL(), PublicURL: servers.publicURL(), Deadline: config.SMTPDeadline, PerRecipient: config.MailLimit, StaffMail: config.StaffMail, StaffURL: sh.servers.consoleOrigin()})
	return []process.Domain{sh.inventory, order, payment, notification}, err
}

// handler returns the handler of the whole origin: API, pages, mailbox, health checks, metrics.
func (sh *shop) handler() (http.Handler, error) {
	document, err := sh.api.OpenAPI().MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("render the OpenAPI document: %w", err)
	}
	pages, err := storefront.New(storefront.Config{API: sh.mux, Logger: sh.logger, SandboxURL: sh.servers.browserSandboxURL(),
		OpenAPI: func() []byte { return document }})
	if err != nil {
		return nil, err
	}
	root := http.NewServeMux()
	for _, prefix := range []string{"/api/", "/webhooks/", "/healthz", "/readyz"} {
		root.Handle(prefix, api.Routes(sh.mux))
	}
	root.Handle("/metrics", sh.forStaff(api.Routes(sh.mux))) // they tell how much is sold
	root.Handle("/", pages)
	if mailbox := sh.servers.mailbox(); mailbox != nil {
		root.Handle("/mail", sh.forStaff(mailbox))
		root.Handle("/mail/", sh.forStaff(mailbox))
	}
	if sh.config.Pprof {
		root.Handle("/debug/pprof/", sh.forStaff(http.HandlerFunc(pprof.Index)))
		root.Handle("/debug/pprof/profile", sh.forStaff(http.HandlerFunc(pprof.Profile)))
		root.Handle("/debug/pprof/trace", sh.forStaff(http.HandlerFunc(pprof.Trace)))
	}
	api.Health(sh.mux, api.Readiness{Vital: sh.host.Vital, Degraded: sh.host.Degraded}, sh.registry, sh.directory)
	checked := sh.servers.checkHost(root, sh.servers.http)
	return checked, nil
}

// forStaff asks for an API key where strangers can reach the shop. A shop on this machine only is open to its user.
func (sh *shop) forStaff(next http.Handler) http.Handler {
	if !sh.config.public() {
		return next
	}
	return staffOnly(next, sh.directory)
}

// run serves until ctx ends. The HTTP servers stop after the workers, because the last work of a worker may need them.
func (sh *shop) run(ctx context.Context, whenReady func() error) error {
	handler, err := sh.handler()
	if err != nil {
		return err
	}
	staff, err := sh.newConsole(ctx)
	if err != nil {
		return err
	}
	wrap := api.Wrapper(sh.mux, sh.logger, sh.registry)
	handler = api.RequireTLS(sh.servers.publicURL(), wrap(handler))
	forStaff := api.RequireTLS(sh.config.OpsURL, wrap(sh.consoleHandler(staff)))
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	group, failed := errgroup.WithContext(serving)
	group.Go(func() error { return api.Serve(failed, sh.servers.http, handler, process.HTTPGrace) })
	group.Go(func() error { return api.Serve(failed, sh.servers.ops, forStaff, process.HTTPGrace) })
	group.Go(func() error { staff.Run(failed); return nil })
	if sh.servers.sandbox != nil {
		group.Go(func() error { return sh.servers.serveSandbox(failed) })
	}
	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	defer context.AfterFunc(failed, stopWorking)()
	workErr := sh.work(working, whenReady)
	stopServing()
	return errors.Join(workErr, group.Wait())
}

// work runs the domains, calls whenReady when they are ready, and returns when all have finished.
func (sh *shop) work(ctx context.Context, whenReady func() error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return sh.host.Run(ctx) })
	group.Go(func() error { return sh.directory.Run(ctx) })
	group.Go(func() error { return process.WhileConnected(ctx, sh.conn) })
	group.Go(func() error { return sh.servers.watch(ctx) })
	group.Go(func() error {
		if err := sh.open(ctx, whenReady); err != nil && ctx.Err() == nil {
			return err
		}
		return nil
	})
	return group.Wait()
}

// open waits until every domain can work, adds the demo items to an empty catalogue, waits until these are for sale, and calls
// whenReady.
func (sh *shop) open(ctx context.Context, whenReady func() error) error {
	if err := until(ctx, func() bool { return sh.host.Vital() == nil }); err != nil {
		return err
	}
	if sh.inventory.Count() == 0 && !sh.config.NoDemo {
		demo := seed.Demo()
		if _, err := sh.inventory.PutItems(ctx, demo, events.Author{Reason: "demo items"}); err != nil {
			return fmt.Errorf("add demo items: %w", err)
		}
		if err := until(ctx, func() bool { return sh.inventory.Count() >= len(demo) }); err != nil {
			return err
		}
	}
	return whenReady()
}

// until polls a condition every few milliseconds until it holds. It returns the error of ctx if that ends first.
func until(ctx context.Context, holds func() bool) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

func (sh *shop) close() {
	if sh.log != nil {
		sh.log.Close()
	}
	if sh.conn != nil {
		sh.conn.Close()
	}
	if sh.db != nil {
		_ = sh.db.Client().Disconnect(context.Background()) // everything is written by then
	}
}
