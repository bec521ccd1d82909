// Command payments runs the payments worker: Stripe's webhooks, the payment API and everything that is asked of Stripe.
package main

import (
	"time"

	"tillstream/cmd/internal/process"
	"tillstream/payments"
)

type settings struct {
	process.Settings `embed:""`

	ReconcileEvery       time.Duration `env:"RECONCILE_EVERY" default:"1m" help:"How often Stripe is asked what webhooks missed."`
	StripePublishableKey string        `env:"STRIPE_PUBLISHABLE_KEY" required:"" help:"Stripe's key for browsers."`
	StripeSecretKey      string        `env:"STRIPE_SECRET_KEY" required:"" help:"Stripe's secret key. Best set by the environment."`
	StripeURL            string        `name:"stripe-url" env:"STRIPE_URL" help:"Where Stripe's API is; default: Stripe's own. Set it for the sandbox."`
	StripeWebhookSecret  string        `env:"STRIPE_WEBHOOK_SECRET" required:"" help:"Secret that Stripe signs webhooks with. Best set by the environment."`
}

func main() {
	var s settings
	process.Main("payments", "Takes the money: one PaymentIntent per order, captured once.", &s, &s.Settings,
		func(env process.Env) (process.Domain, error) {
			return payments.New(payments.Config{Access: env.Access, DB: env.DB, Log: env.Log, Logger: env.Logger, Registerer: env.Registerer, StripeURL: s.StripeURL,
				SecretKey: s.StripeSecretKey, PublishableKey: s.StripePublishableKey, WebhookSecret: s.StripeWebhookSecret, ReconcileEvery: s.ReconcileEvery})
		})
}
