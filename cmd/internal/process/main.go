package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"

	"tillstream/cmd/internal/auth"
	"tillstream/cmd/internal/staff"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
	"tillstream/events/project"
)

// HTTPGrace is how long open HTTP requests may take after a stop.
const HTTPGrace = 5 * time.Second

// Env has what a domain is built from.
type Env struct {
	Access     auth.Access // of shoppers and staff
	DB         *mongo.Database
	Log        *eventlog.Log
	Logger     *slog.Logger
	Registerer prometheus.Registerer // for the domain's metrics
}

// Main is the whole main of a worker: it parses settings (a struct that embeds [Settings], which common points to), runs
// the domain that build returns, and returns when the domain has stopped. It exits with status 1 on an error.
func Main(name, description string, settings any, common *Settings, build func(Env) (Domain, error)) {
	kong.Parse(settings, kong.Name(name), kong.Description(description), kong.ShortUsageOnError(), Help)
	ctx, cancel := UntilSignal(os.Stderr)
	defer cancel()
	logger := Logger(os.Stderr, common.LogLevel, common.LogJSON).With("process", name)
	err := common.Arm(logger)
	if err == nil {
		err = Run(ctx, name, *common, logger, os.Stdout, build)
	}
	End(ctx, logger, err)
}

// Help configures help texts for terminals of 80 columns. It omits the usage line, which lists all required flags in one line.
var Help = kong.ConfigureHelp(kong.HelpOptions{NoAppSummary: true, WrapUpperBound: 80})

// UntilSignal returns a context that ends with the first SIGINT or SIGTERM. A second signal exits at once; the next start
// repeats what was not finished.
func UntilSignal(stderr io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(stderr, "stopping; a second signal stops at once")
		cancel()
		<-signals
		os.Exit(130)
	}()
	return ctx, cancel
}

// End logs an error and exits with status 1. It returns when err is nil, and when ctx has ended and err is its cancellation: a
// stop that interrupts the start is no failure.
func End(ctx context.Context, logger *slog.Logger, err error) {
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	logger.Error("stopped", "error", err)
	os.Exit(1)
}

// Run runs one domain until ctx ends. When the domain is ready, Run prints its address to out.
func Run(ctx context.Context, name string, s Settings, logger *slog.Logger, out io.Writer, build func(Env) (Domain, error)) error {
	tokens, err := auth.New(auth.Config{Secrets: s.TokenSecret, Lifetime: s.TokenLifetime})
	if err != nil {
		return err
	}
	listener, scheme, err := s.Listen("the API", s.HTTP)
	if err != nil {
		return err
	}
	defer listener.Close()
	conn, err := Connect(ctx, s.NATS, name, logger)
	if err != nil {
		return err
	}
	defer conn.Close()
	registry := NewRegistry()
	l, err := eventlog.Open(ctx, conn, eventlog.Config{Source: name, Logger: logger, Registerer: registry, Replicas: s.Replicas})
	if err != nil {
		return err
	}
	defer l.Close()
	db, err := project.Connect(ctx, s.MongoDB)
	if err != nil {
		return err
	}
	defer func() { _ = db.Client().Disconnect(context.WithoutCancel(ctx)) }() // everything is written by then
	directory := staff.NewDirectory(l)
	if err := directory.Load(ctx); err != nil {
		return err
	}
	domain, err := build(Env{Access: auth.Access{Tokens: tokens, StaffAccess: directory}, DB: db, Log: l, Logger: logger, Registerer: registry})
	if err != nil {
		return err
	}
	host, err := NewHost(ctx, HostConfig{AuditEvery: s.AuditEvery, DB: db, Log: l, Registerer: registry}, domain)
	if err != nil {
		return err
	}
	mux := api.NewMux()
	domain.Register(api.New(mux))
	api.Health(mux, api.Readiness{Vital: host.Vital, Degraded: host.Degraded}, registry, directory)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return host.Run(ctx) })
	group.Go(func() error { return directory.Run(ctx) })
	group.Go(func() error {
		handler := api.CheckHost(api.FromClient(api.Routes(mux), s.TrustedProxies), listener.Addr(), append(s.AllowedHosts, s.PublicURL)...)
		return api.Serve(ctx, listener, api.Wrap(handler, mux, logger, registry), HTTPGrace)
	})
	group.Go(func() error { return WhileConnected(ctx, conn) })
	fmt.Fprintf(out, "%s listens on %s://%s\n", name, scheme, listener.Addr())
	return group.Wait()
}

// NewRegistry returns a registry with the metrics of the process and the Go runtime.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
