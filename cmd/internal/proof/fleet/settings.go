package fleet

import (
	"crypto/rand"
	"fmt"
	"time"

	"tillstream/cmd/internal/staff"
)

// Settings are the environment variables that all processes of a shop share. The addresses of the broker and the database
// are not among them, because each process may reach those through a proxy of its own.
type Settings struct {
	Keys           Keys
	OpsKey         string // for [KeepKey]; the programs do not get it
	TokenSecret    string
	SMTP           string
	Stripe         string
	SweepEvery     time.Duration
	ReconcileEvery time.Duration
}

// NewSettings returns settings with random secrets.
func NewSettings() Settings {
	return Settings{OpsKey: staff.NewKey(), TokenSecret: rand.Text(), SweepEvery: 2 * time.Second, ReconcileEvery: 2 * time.Second,
		Keys: Keys{Secret: "sk_test_tillstream_" + rand.Text(), Publishable: "pk_test_tillstream_" + rand.Text(), Webhook: "whsec_" + rand.Text()}}
}

// Env returns the environment of any worker that reaches the broker and the database at these URLs. A worker ignores the
// variables of the others.
func (s Settings) Env(nats, mongo string) []string {
	return []string{
		"MONGODB_URI=" + mongo, "NATS_URL=" + nats, "TOKEN_SECRET=" + s.TokenSecret, "LOG_LEVEL=WARN",
		"PUBLIC_URL=https://shop.example", "MAIL_FROM=Shop <orders@shop.example>", "SMTP_URL=" + s.SMTP, "STRIPE_URL=" + s.Stripe,
		"STRIPE_SECRET_KEY=" + s.Keys.Secret, "STRIPE_PUBLISHABLE_KEY=" + s.Keys.Publishable, "STRIPE_WEBHOOK_SECRET=" + s.Keys.Webhook,
		fmt.Sprint("SWEEP_EVERY=", s.SweepEvery), fmt.Sprint("RECONCILE_EVERY=", s.ReconcileEvery),
	}
}

// StorefrontEnv returns the environment of a storefront. replicas returns the URLs of a worker's replicas, separated by commas.
func (s Settings) StorefrontEnv(replicas func(worker string) string) []string {
	return []string{"SANDBOX_URL=" + s.Stripe, "INVENTORY_URL=" + replicas("inventory"), "NOTIFICATIONS_URL=" + replicas("notifications"),
		"ORDERS_URL=" + replicas("orders"), "PAYMENTS_URL=" + replicas("payments"), "LOG_LEVEL=WARN"}
}
