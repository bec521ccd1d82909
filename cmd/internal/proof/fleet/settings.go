package fleet

import (
	"crypto/rand"
	"fmt"
	"time"
)

// Settings are what the processes of a shop are told. What stands between a process and a server may differ from process
// to process, so the addresses of servers are not among them.
type Settings struct {
	Keys           Keys
	OpsToken       string
	TokenSecret    string
	SMTP           string
	Stripe         string
	SweepEvery     time.Duration
	ReconcileEvery time.Duration
}

// NewSettings makes up secrets that nobody else knows.
func NewSettings() Settings {
	return Settings{OpsToken: "ops_" + rand.Text(), TokenSecret: rand.Text(), SweepEvery: 2 * time.Second, ReconcileEvery: 2 * time.Second,
		Keys: Keys{Secret: "sk_test_tillstream_" + rand.Text(), Publishable: "pk_test_tillstream_" + rand.Text(), Webhook: "whsec_" + rand.Text()}}
}

// Env is the environment of a worker that reaches its servers at these addresses. It has what any of them needs; each
// takes its own.
func (s Settings) Env(nats, mongo string) []string {
	return []string{
		"MONGODB_URI=" + mongo, "NATS_URL=" + nats, "OPS_TOKEN=" + s.OpsToken, "TOKEN_SECRET=" + s.TokenSecret, "LOG_LEVEL=WARN",
		"PUBLIC_URL=https://shop.example", "MAIL_FROM=Shop <orders@shop.example>", "SMTP_URL=" + s.SMTP, "STRIPE_URL=" + s.Stripe,
		"STRIPE_SECRET_KEY=" + s.Keys.Secret, "STRIPE_PUBLISHABLE_KEY=" + s.Keys.Publishable, "STRIPE_WEBHOOK_SECRET=" + s.Keys.Webhook,
		fmt.Sprint("SWEEP_EVERY=", s.SweepEvery), fmt.Sprint("RECONCILE_EVERY=", s.ReconcileEvery),
	}
}

// WindowEnv is the environment of a storefront that knows replicas of each worker, by worker, separated by commas.
func (s Settings) WindowEnv(known func(worker string) string) []string {
	return []string{"SANDBOX_URL=" + s.Stripe, "INVENTORY_URL=" + known("inventory"), "NOTIFICATIONS_URL=" + known("notifications"),
		"ORDERS_URL=" + known("orders"), "PAYMENTS_URL=" + known("payments"), "LOG_LEVEL=WARN"}
}
