package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"golang.org/x/sync/errgroup"

	"tillstream/cmd/internal/auth"
	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/log"
	"tillstream/events/project"
)

// HTTPGrace is how long running requests may take after the stop.
const HTTPGrace = 5 * time.Second

// Settings are what every worker process needs. Each can be a flag or an environment variable.
type Settings struct {
	Failpoints `embed:""`

	HTTP        string     `name:"http" env:"HTTP_ADDR" default:"127.0.0.1:8081" help:"Address to serve the API, health and metrics on; port 0 takes any free one."`
	LogJSON     bool       `env:"LOG_JSON" help:"Log as JSON."`
	LogLevel    slog.Level `env:"LOG_LEVEL" default:"INFO" help:"DEBUG, INFO, WARN or ERROR."`
	MongoDB     string     `name:"mongodb" env:"MONGODB_URI" required:"" help:"Database, such as mongodb://host:27017/tillstream."`
	NATS        string     `name:"nats" env:"NATS_URL" required:"" help:"Broker, such as nats://host:4222."`
	OpsToken    string     `env:"OPS_TOKEN" required:"" help:"Bearer token of staff, 22 characters or more. Best set by the environment."`
	PublicURL   string     `name:"public-url" env:"PUBLIC_URL" default:"http://127.0.0.1:8080" help:"Where shoppers reach the storefront; mails link there."`
	Replicas    int        `env:"STREAM_REPLICAS" default:"1" help:"Copies of each stream in the NATS cluster; 3 in production."`
	TokenSecret string     `env:"TOKEN_SECRET" required:"" help:"Secret that order tokens are derived from, the same for all processes, 22 characters or more. Best set by the environment."`
}

// Env is what a domain is built from.
type Env struct {
	Access *auth.Tokens
	DB     *mongo.Database
	Log    *log.Log
	Logger *slog.Logger
	// Registerer is where the domain's metrics go.
	Registerer prometheus.Registerer
}

// Charging is what the workers that deal in prices must agree on.
type Charging struct {
	ChargeLimits events.ChargeLimits `env:"CHARGE_LIMITS" placeholder:"GBP=100" help:"Least charge of a currency and, after a slash, its step, in minor units, where the account's differ from what Stripe publishes."`
}

// Main parses settings (a struct that embeds [Settings]), runs the domain that build makes, and returns when it has
// stopped. It is the whole of a worker's main.
func Main(name, description string, settings any, common *Settings, build func(Env) (Domain, error)) {
	kong.Parse(settings, kong.Name(name), kong.Description(description), kong.UsageOnError())
	ctx, cancel := UntilSignal(os.Stderr)
	defer cancel()
	logger := Logger(os.Stderr, common.LogLevel, common.LogJSON).With("process", name)
	err := common.Arm(logger)
	if err == nil {
		err = Run(ctx, name, *common, logger, os.Stdout, build)
	}
	End(ctx, logger, err)
}

// End says why a process ends and ends it, with status 1, unless it ends as it was asked to by ctx. To be asked while it
// was still waiting for others is no failure of its own.
func End(ctx context.Context, logger *slog.Logger, err error) {
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	logger.Error("stopped", "error", err)
	os.Exit(1)
}

// Run runs one domain until ctx ends. It says on out where it listens, once it is ready.
func Run(ctx context.Context, name string, s Settings, logger *slog.Logger, out io.Writer, build func(Env) (Domain, error)) error {
	tokens, err := auth.New(s.TokenSecret, s.OpsToken)
	if err != nil {
		return err
	}
	listener, err := api.Listen("the API", s.HTTP)
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
	l, err := log.Open(ctx, conn, log.Config{Source: name, Logger: logger, Registerer: registry, Replicas: s.Replicas})
	if err != nil {
		return err
	}
	defer l.Close()
	db, err := project.Connect(ctx, s.MongoDB)
	if err != nil {
		return err
	}
	defer func() { _ = db.Client().Disconnect(context.WithoutCancel(ctx)) }() // nothing is left to write
	domain, err := build(Env{Access: tokens, DB: db, Log: l, Logger: logger, Registerer: registry})
	if err != nil {
		return err
	}
	host, err := NewHost(ctx, HostConfig{DB: db, Log: l, Registerer: registry}, domain)
	if err != nil {
		return err
	}
	mux := api.NewMux()
	domain.Register(api.New(mux))
	api.Health(mux, api.Readiness{Vital: host.Vital, Degraded: host.Degraded}, registry)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return host.Run(ctx) })
	group.Go(func() error {
		return api.Serve(ctx, listener, api.Wrap(api.Routes(mux), mux, logger, registry), HTTPGrace)
	})
	group.Go(func() error { return WhileConnected(ctx, conn) })
	fmt.Fprintf(out, "%s listens on http://%s\n", name, listener.Addr())
	return group.Wait()
}

// NewRegistry holds the metrics of a process, its own first.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
