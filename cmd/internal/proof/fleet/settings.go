package fleet

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tillstream/cmd/internal/staff"
	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/api"
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
		"PUBLIC_URL=https://shop.example", "MAIL_FROM=Shop <orders@shop.example>", "SMTP_URL=" + s.SMTP, "STRIPE_API_BASE=" + s.Stripe,
		"ALLOW_TEST_KEYS=true", "STRIPE_SECRET_KEY=" + s.Keys.Secret, "STRIPE_PUBLISHABLE_KEY=" + s.Keys.Publishable, "STRIPE_WEBHOOK_SECRET=" + s.Keys.Webhook,
		fmt.Sprint("SWEEP_EVERY=", s.SweepEvery), fmt.Sprint("RECONCILE_EVERY=", s.ReconcileEvery),
	}
}

// StorefrontEnv returns the environment of a storefront. replicas returns the URLs of a worker's replicas, separated by commas.
func (s Settings) StorefrontEnv(replicas func(worker string) string) []string {
	return append(upstreams(replicas), "SANDBOX_PUBLIC_URL="+s.Stripe, "LOG_LEVEL=WARN")
}

// ConsoleEnv returns the environment of a staff console that reaches the broker and the database at these URLs.
func (s Settings) ConsoleEnv(nats, mongo string, replicas func(worker string) string) []string {
	return append(s.Env(nats, mongo), upstreams(replicas)...)
}

// upstreams are the variables with the addresses of the workers' APIs.
func upstreams(replicas func(worker string) string) (env []string) {
	for _, worker := range Workers {
		env = append(env, strings.ToUpper(worker)+"_URL="+replicas(worker))
	}
	return env
}

// staffRoutes are, for each worker, a route that only staff may read.
var staffRoutes = map[string]string{"inventory": "/ops/api/stock", "notifications": "/ops/api/notifications/none", "orders": "/ops/api/orders?limit=1",
	"payments": "/ops/api/payments?limit=1"}

// AwaitKey returns when a worker accepts an API key. A worker knows a new key as soon as it has read the event, which is some
// milliseconds after the event was appended.
func AwaitKey(ctx context.Context, worker, url, key string) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+staffRoutes[worker], nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+key)
		if response, err := http.DefaultClient.Do(request); err == nil {
			if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusUnauthorized {
				return err
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s at %s does not accept the API key: %w", worker, url, ctx.Err())
		}
	}
}

// KeepKey makes the API key of a shop's address valid, with every permission. The streams of the shop must exist.
func KeepKey(ctx context.Context, shop target.Shop) error {
	reader, done, err := shop.Log(ctx)
	if err != nil {
		return err
	}
	defer done()
	service, err := staff.New(staff.Config{Directory: staff.NewDirectory(reader.Log()), Log: reader.Log()})
	if err != nil {
		return err
	}
	key := staff.NewAPIKey{Name: "local", Permissions: api.Permissions()}
	if _, err := service.KeepKey(ctx, key, shop.OpsKey, events.Author{Reason: "key of a test shop"}); err != nil {
		return fmt.Errorf("make the API key of the shop: %w", err)
	}
	return nil
}
