// Command payments runs the payments worker: the payment API, Stripe's webhooks and all calls to Stripe. With the argument check it
// compares the Stripe account with what the shop needs instead.
package main

import (
	"context"
	"os"
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/payments"
)

type settings struct {
	process.Capturing  `embed:""`
	process.Paying     `embed:""`
	process.Rehearsing `embed:""`
	process.Settings   `embed:""`
	process.Streams    `embed:""`

	CardAttempts         int           `env:"CARD_ATTEMPTS" default:"10" help:"Number of declined attempts to pay after which an order is cancelled; at least 1."`
	ReconcileEvery       time.Duration `env:"RECONCILE_EVERY" default:"1m" help:"How often to ask Stripe for events whose webhooks were missed."`
	StripePublishableKey string        `env:"STRIPE_PUBLISHABLE_KEY" required:"" help:"Publishable key of Stripe, for browsers."`
	StripeSecretKey      string        `env:"STRIPE_SECRET_KEY" required:"" help:"Secret key of Stripe. Prefer the environment variable: other users can read flags."`
	StripeAPIBase        string        `name:"stripe-api-base" env:"STRIPE_API_BASE" help:"Address of a server that speaks Stripe's API, such as a sandbox; default: https://api.stripe.com. Live keys go only to Stripe."`
	StripeRate           float64       `env:"STRIPE_RATE" help:"Maximum number of requests to Stripe per second of this process; default: 80 with a live key, 20 with a test key, which leaves a fifth of Stripe's limits to other programs, and no limit with a sandbox."`
	StripeWebhookSecret  string        `env:"STRIPE_WEBHOOK_SECRET" required:"" help:"Secret with which Stripe signs webhooks. Prefer the environment variable: other users can read flags."`
}

// stripe returns the settings of Stripe.
func (s *settings) stripe() payments.Config {
	return payments.Config{SecretKey: s.StripeSecretKey, PublishableKey: s.StripePublishableKey, WebhookSecret: s.StripeWebhookSecret,
		StripeAPIBase: s.StripeAPIBase, StripeRate: s.StripeRate}
}

// Validate refuses settings of Stripe that do not belong together, before the process connects to anything. Kong calls it.
func (s *settings) Validate() error { return s.stripe().CheckStripe() }

// domain is the payments domain with the conditions of this process.
type domain struct {
	*payments.Service
	checks []process.Check
}

// Checks returns the conditions that the domain does not know.
func (d domain) Checks() []process.Check { return d.checks }

func main() {
	if len(os.Args) > 1 && os.Args[1] == "check" {
		os.Exit(check(context.Background(), os.Args[2:], os.Stdout, os.Stderr))
	}
	var s settings
	process.Main("payments", "Takes payments through Stripe: one PaymentIntent per order, captured once. The command payments check compares the Stripe account with what the shop needs.", &s, &s.Settings,
		func(env process.Env) (process.Domain, error) {
			config := s.stripe()
			config.Access, config.Proxies, config.Waits, config.DB, config.Log = env.Access, s.TrustedProxies, s.StreamLimits(), env.DB, env.Log
			config.Logger, config.Registerer, config.ReconcileEvery, config.CardAttempts = env.Logger, env.Registerer, s.ReconcileEvery, s.CardAttempts
			config.Capture, config.Methods = s.Capture, s.Methods
			service, err := payments.New(config)
			if err != nil {
				return nil, err
			}
			return domain{Service: service, checks: []process.Check{s.TestKeys(s.PublicURL, service.Live())}}, nil
		})
}
