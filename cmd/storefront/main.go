// Command storefront serves the shop's pages, and forwards what the APIs of the domains' processes have for shoppers and for
// Stripe on the same origin. The staff API is at the console.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"github.com/danielgtaylor/huma/v2"

	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/storefront"
	"tillstream/events/api"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

type settings struct {
	process.TLS `embed:""`

	AllowedHosts     []string   `env:"ALLOWED_HOSTS" placeholder:"NAME,..." help:"Further names at which clients reach the shop, besides the host of PUBLIC_URL, IP addresses and names without a dot. Requests to other names are refused."`
	HTTP             string     `name:"http" env:"HTTP_ADDR" default:"127.0.0.1:8080" help:"Address to serve the shop on; port 0 picks a free port."`
	InventoryURL     string     `env:"INVENTORY_URL" required:"" help:"Address of the inventory API, such as http://inventory:8081; separate several replicas by commas."`
	LogJSON          bool       `env:"LOG_JSON" help:"Log JSON instead of text."`
	LogLevel         slog.Level `env:"LOG_LEVEL" default:"INFO" help:"Lowest level to log: DEBUG, INFO, WARN or ERROR."`
	NotificationsURL string     `env:"NOTIFICATIONS_URL" required:"" help:"Address of the notifications API; separate several replicas by commas."`
	OrdersURL        string     `env:"ORDERS_URL" required:"" help:"Address of the orders API; separate several replicas by commas."`
	PaymentsURL      string     `env:"PAYMENTS_URL" required:"" help:"Address of the payments API; separate several replicas by commas."`
	PublicURL        string     `name:"public-url" env:"PUBLIC_URL" default:"http://127.0.0.1:8080" help:"Address at which shoppers reach the shop."`
	SandboxURL       string     `name:"sandbox-public-url" env:"SANDBOX_PUBLIC_URL" help:"Address at which browsers reach the Stripe sandbox; default: none, the pages show Stripe's own card form."`
	ShopName         string     `env:"SHOP_NAME" default:"Tillstream" help:"Name of the shop in page headers and titles."`
}

func main() {
	var s settings
	kong.Parse(&s, kong.Name("storefront"), kong.ShortUsageOnError(), process.Help,
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
	listener, scheme, err := s.Listen("the storefront", s.HTTP)
	if err != nil {
		return err
	}
	registry, mux := process.NewRegistry(), api.NewMux()
	for _, prefix := range []string{"/api/", "/webhooks/"} { // not /ops/api/, which only the console serves
		mux.Handle(prefix, proxy)
	}
	mux.Handle("/", pages)
	ready := func() error { return nil } // the storefront has no state; each domain reports its own readiness
	api.Health(mux, api.Readiness{Vital: ready, Degraded: ready}, registry, nil)
	fmt.Fprintf(out, "storefront listens on %s://%s\n", scheme, listener.Addr())
	handler := api.CheckHost(mux, listener.Addr(), append(s.AllowedHosts, s.PublicURL)...)
	return api.Serve(ctx, listener, api.RequireTLS(s.PublicURL, api.Wrap(handler, mux, logger, registry)), process.HTTPGrace)
}

// document returns the OpenAPI document of all domains, whose APIs this origin serves. The services it is generated from are
// empty and never called.
func document() ([]byte, error) {
	described := api.New(api.NewMux())
	for _, domain := range []interface{ Register(huma.API) }{&inventory.Service{}, &notifications.Service{}, &orders.Service{}, &payments.Service{}} {
		domain.Register(described)
	}
	data, err := described.OpenAPI().MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("render the OpenAPI document: %w", err)
	}
	return data, nil
}
