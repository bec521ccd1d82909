// Command payments runs the payments worker: the payment API, Stripe's webhooks and all calls to Stripe.
package main

import (
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/payments"
)

type settings struct {
	process.Capturing `embed:""`
	process.Settings  `embed:""`
	process.Streams   `embed:""`

	CardAttempts         int           `env:"CARD_ATTEMPTS" default:"10" help:"Number of declined attempts to pay after which an order is cancelled; at least 1."`
	ReconcileEvery       time.Duration `env:"RECONCILE_EVERY" default:"1m" help:"How often to ask Stripe for events whose webhooks were missed."`
	StripePublishableKey string        `env:"STRIPE_PUBLISHABLE_KEY" required:"" help:"Publishable key of Stripe, for browsers."`
	StripeSecretKey      string        `env:"STRIPE_SECRET_KEY" required:"" help:"Secret key of Stripe. Prefer the environment variable: other users can read flags."`
	StripeAPIBase        string        `name:"stripe-api-base" env:"STRIPE_API_BASE" help:"Address of a Stripe sandbox; default: Stripe's own API."`
	StripeWebhookSecret  string        `env:"STRIPE_WEBHOOK_SECRET" required:"" help:"Secret with which Stripe signs webhooks. Prefer the environment variable: other users can read flags."`
}

func main() {
	var s settings
	process.Main("payments", "Takes payments through Stripe: one PaymentIntent per order, captured once.", &s, &s.Settings,
		func(env process.Env) (process.Domain, error) {
			return payments.New(payments.Config{Access: env.Access, Proxies: s.TrustedProxies, Waits: s.StreamLimits(), DB: env.DB, Log: env.Log, Logger: env.Logger, Registerer: env.Registerer, StripeAPIBase: s.StripeAPIBase,
				SecretKey: s.StripeSecretKey, PublishableKey: s.StripePublishableKey, WebhookSecret: s.StripeWebhookSecret, ReconcileEvery: s.ReconcileEvery,
				CardAttempts: s.CardAttempts, Capture: s.Capture})
		})
}
