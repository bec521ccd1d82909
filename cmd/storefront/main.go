// Command storefront is the shop window: pages, assets, and one origin for the APIs of the domains' processes.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/storefront"
	"tillstream/events/api"
)

type settings struct {
	HTTP             string     `name:"http" env:"HTTP_ADDR" default:"127.0.0.1:8080" help:"Address to serve the shop on; port 0 takes any free one."`
	InventoryURL     string     `env:"INVENTORY_URL" required:"" help:"Where the inventory process serves its API; several replicas separated by commas."`
	LogJSON          bool       `env:"LOG_JSON" help:"Log as JSON."`
	LogLevel         slog.Level `env:"LOG_LEVEL" default:"INFO" help:"DEBUG, INFO, WARN or ERROR."`
	NotificationsURL string     `env:"NOTIFICATIONS_URL" required:"" help:"Where the notifications process serves its API; several replicas separated by commas."`
	OrdersURL        string     `env:"ORDERS_URL" required:"" help:"Where the orders process serves its API; several replicas separated by commas."`
	PaymentsURL      string     `env:"PAYMENTS_URL" required:"" help:"Where the payments process serves its API; several replicas separated by commas."`
	SandboxURL       string     `env:"SANDBOX_URL" help:"Where browsers reach the Stripe sandbox; default: Stripe's own card form."`
	ShopName         string     `env:"SHOP_NAME" default:"Tillstream" help:"Name of the shop, in the header of every page."`
}

func main() {
	var s settings
	kong.Parse(&s, kong.Name("storefront"), kong.UsageOnError(),
		kong.Description("Serves the shop's pages, and the APIs of the domains' processes on the same origin."))
	ctx, cancel := process.UntilSignal(os.Stderr)
	defer cancel()
	logger := process.Logger(os.Stderr, s.LogLevel, s.LogJSON).With("process", "storefront")
	process.End(ctx, logger, run(ctx, s, logger, os.Stdout))
}

func run(ctx context.Context, s settings, logger *slog.Logger, out io.Writer) error {
	proxy, err := storefront.Proxy(storefront.Upstreams{Inventory: s.InventoryURL, Notifications: s.NotificationsURL, Orders: s.OrdersURL, Payments: s.PaymentsURL}, logger)
	if err != nil {
		return err
	}
	document, err := document()
	if err != nil {
		return err
	}
	pages, err := storefront.New(storefront.Config{API: proxy, Logger: logger, SandboxURL: s.SandboxURL, ShopName: s.ShopName,
		OpenAPI: func() []byte { return document }})
	if err != nil {
		return err
	}
	listener, err := api.Listen("the storefront", s.HTTP)
	if err != nil {
		return err
	}
	registry, mux := process.NewRegistry(), api.NewMux()
	for _, prefix := range []string{"/api/", "/ops/api/", "/webhooks/"} {
		mux.Handle(prefix, proxy)
	}
	mux.Handle("/", pages)
	fine := func() error { return nil } // it holds nothing: whether the domains can work is theirs to say
	api.Health(mux, api.Readiness{Vital: fine, Degraded: fine}, registry)
	fmt.Fprintf(out, "storefront listens on http://%s\n", listener.Addr())
	return api.Serve(ctx, listener, api.Wrap(mux, mux, logger, registry), process.HTTPGrace)
}
