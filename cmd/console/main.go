// Command console serves the staff console and the staff API of a shop whose domains run in processes of their own. It uses the
// broker as the user ops does.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"tillstream/cmd/internal/console"
	"tillstream/cmd/internal/dryrun"
	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/staff"
	"tillstream/cmd/internal/storefront"
	"tillstream/events/api"
	"tillstream/events/project"
	"tillstream/events/replay"
)

type settings struct {
	process.TLS `embed:""`

	process.Approving `embed:""`

	process.Proxying `embed:""`

	AllowedHosts     []string   `env:"ALLOWED_HOSTS" placeholder:"NAME,..." help:"Further names at which staff reach the console, besides the host of OPS_PUBLIC_URL, IP addresses and names without a dot. Requests to other names are refused."`
	HTTP             string     `name:"http" env:"HTTP_ADDR" default:"127.0.0.1:8090" help:"Address to serve the console on; port 0 picks a free port."`
	InventoryURL     string     `env:"INVENTORY_URL" required:"" help:"Address of the inventory API, such as http://inventory:8081; separate several replicas by commas."`
	LogJSON          bool       `env:"LOG_JSON" help:"Log JSON instead of text."`
	LogLevel         slog.Level `env:"LOG_LEVEL" default:"INFO" help:"Lowest level to log: DEBUG, INFO, WARN or ERROR."`
	MongoDB          string     `name:"mongodb" env:"MONGODB_URI" required:"" help:"Database, such as mongodb://host:27017/tillstream."`
	NATS             string     `name:"nats" env:"NATS_URL" required:"" help:"Broker, with the user ops, such as nats://ops:password@host:4222."`
	NotificationsURL string     `env:"NOTIFICATIONS_URL" required:"" help:"Address of the notifications API; separate several replicas by commas."`
	OrdersURL        string     `env:"ORDERS_URL" required:"" help:"Address of the orders API; separate several replicas by commas."`
	OpsKey           string     `name:"ops-key" env:"OPS_KEY" help:"API key with the permission metrics:read, with which the console asks the processes why they are not ready. Without it, those on other machines tell only codes. Prefer the environment variable: other users can read flags."`
	PaymentsURL      string     `env:"PAYMENTS_URL" required:"" help:"Address of the payments API; separate several replicas by commas."`
	PublicURL        string     `name:"ops-public-url" env:"OPS_PUBLIC_URL" default:"http://127.0.0.1:8090" help:"Address at which staff reach the console. With https, browsers send the session over TLS only."`
	ReadyURLs        []string   `name:"ready-urls" env:"READY_URLS" placeholder:"PROGRAM=URL,..." help:"Processes whose readiness the console shows, such as orders=http://10.0.0.21:8081. A name with several IPv4 addresses stands for a process at each. Default: those at the addresses of the APIs."`
	ShopName         string     `env:"SHOP_NAME" default:"Tillstream" help:"Name of the shop in page headers and authenticator apps."`
	StripeSecretKey  string     `env:"STRIPE_SECRET_KEY" help:"Secret key of Stripe, for the comparison of payments; dry runs need to know whether it is a live one."`
	StripeAPIBase    string     `name:"stripe-api-base" env:"STRIPE_API_BASE" hidden:"" help:"Address of a sandbox in place of Stripe."`
	TokenSecret      string     `env:"TOKEN_SECRET" required:"" help:"The TOKEN_SECRET of the workers: passwords of staff are sealed with it. Prefer the environment variable: other users can read flags."`
}

func main() {
	var s settings
	kong.Parse(&s, kong.Name("console"), kong.ShortUsageOnError(), process.Help,
		kong.Description("Serves the pages for staff at /ops, and the staff API of the domains' processes."))
	ctx, cancel := process.UntilSignal(os.Stderr)
	defer cancel()
	logger := process.Logger(os.Stderr, s.LogLevel, s.LogJSON).With("process", "console")
	process.End(ctx, logger, run(ctx, s, logger, os.Stdout))
}

// user is the user of the broker whose rights the console needs: it settles dead letters and appends what staff decide.
const user = "ops"

func run(ctx context.Context, s settings, logger *slog.Logger, out io.Writer) error {
	listener, scheme, err := s.Listen("the staff console", s.HTTP)
	if err != nil {
		return err
	}
	defer listener.Close()
	conn, err := process.Connect(ctx, s.NATS, user, logger)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader, err := replay.Open(ctx, conn)
	if err != nil {
		return err
	}
	defer reader.Close()
	db, err := project.Connect(ctx, s.MongoDB)
	if err != nil {
		return err
	}
	defer func() { _ = db.Client().Disconnect(context.WithoutCancel(ctx)) }() // no write of the console waits for an answer by then
	directory := staff.NewDirectory(reader.Log())
	config := console.Config{Access: directory, DB: db, Log: reader, Logger: logger, PublicURL: s.PublicURL, ShopName: s.ShopName}
	workers, err := newProcesses(s.readyURLs(), s.OpsKey)
	if err != nil {
		return err
	}
	config.Readiness = workers.readiness
	pages, err := s.pages(ctx, config, directory)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return directory.Run(ctx) })
	group.Go(func() error { pages.Run(ctx); return nil })
	group.Go(func() error { workers.run(ctx); return nil })
	group.Go(func() error { return process.WhileConnected(ctx, conn) })
	group.Go(func() error {
		return api.Serve(ctx, listener, s.handler(pages, workers, directory, listener.Addr(), logger), process.HTTPGrace)
	})
	fmt.Fprintf(out, "console listens on %s://%s\n", scheme, listener.Addr())
	return group.Wait()
}

// pages returns the console with what its settings are needed for.
func (s settings) pages(ctx context.Context, config console.Config, directory *staff.Directory) (*console.Console, error) {
	service, err := staff.New(staff.Config{Directory: directory, Log: config.Log.Log(), Secrets: s.TokenSecret})
	if err == nil {
		err = directory.Load(ctx)
	}
	if err != nil {
		return nil, err
	}
	config.Staff, config.Members = staff.Sessions{Service: service, Shop: s.ShopName}, console.MembersOf(service)
	config.Verify = invariants.Options{StripeKey: s.StripeSecretKey, StripeURL: cmp.Or(s.StripeAPIBase, console.StripeAPI)}
	config.ApprovalOver, config.CheckPayments = s.ApprovalOver, console.CheckPaymentsWith(config.Log, s.StripeAPIBase, s.StripeSecretKey)
	if config.API, err = storefront.Proxy(storefront.Upstreams{Inventory: s.InventoryURL, Notifications: s.NotificationsURL, Orders: s.OrdersURL, Payments: s.PaymentsURL}, config.Logger); err != nil {
		return nil, err
	}
	if config.Dispatcher, err = dryrun.Dispatcher(config.Log.Log(), s.StripeSecretKey); err != nil {
		return nil, err
	}
	return console.New(config)
}

// handler returns the handler of the listener: pages, staff API and health checks.
func (s settings) handler(pages http.Handler, workers *processes, access api.StaffAccess, address net.Addr, logger *slog.Logger) http.Handler {
	registry, mux := process.NewRegistry(), api.NewMux()
	mux.Handle("/", pages)
	ready := func() error { return nil } // every page says itself what cannot be read
	api.Health(mux, api.Readiness{Vital: ready, Degraded: workers.degraded}, registry, access)
	checked := api.CheckHost(api.FromClient(mux, s.TrustedProxies), address, append(s.AllowedHosts, s.PublicURL)...)
	return api.RequireTLS(s.PublicURL, api.Wrap(checked, mux, logger, registry))
}
