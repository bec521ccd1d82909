//go:build unix

package crashtest_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
	"tillstream/events/project/projecttest"
)

// What the processes of a fleet must agree about.
const (
	opsToken       = "ops_token_of_a_swept_shop"
	tokenSecret    = "token_secret_of_a_swept_shop"
	secretKey      = "sk_test_tillstream_sweep"
	publishableKey = "pk_test_tillstream_sweep"
	webhookSecret  = "whsec_sweep"
)

// workers in the order that they are started.
var workers = []string{"inventory", "orders", "payments", "notifications"}

// openFleet starts a broker, two replicas of each worker and two storefronts. What belongs to others (database, Stripe,
// mail server) is in the test's process and is not hurt.
func openFleet(t *testing.T) *world {
	t.Helper()
	if proc.Raced {
		t.Skip("ten programs with the race detector are too slow to be in time; this runs without it, and package process runs a fleet with it")
	}
	packages := []string{"tillstream/cmd/storefront"}
	for _, name := range workers {
		packages = append(packages, "tillstream/cmd/"+name)
	}
	programs := proc.MustBuild(t, packages...)
	w := newWorld(t, "fleet")
	bank, box := openBank(t), openMailbox(t)
	w.shop = target.Shop{NATS: fleet.StartBroker(t), MongoDB: projecttest.URI(t), Mail: box.page, Stripe: bank.url,
		StripeSecretKey: secretKey, StripePublishableKey: publishableKey, OpsToken: opsToken}
	env := []string{
		"MONGODB_URI=" + w.shop.MongoDB, "NATS_URL=" + w.shop.NATS, "OPS_TOKEN=" + opsToken, "TOKEN_SECRET=" + tokenSecret, "HOLD_FOR=" + holdFor,
		"SWEEP_EVERY=" + sweepEvery, "RECONCILE_EVERY=" + sweepEvery, "PUBLIC_URL=https://shop.example", "MAIL_FROM=Shop <orders@shop.example>",
		"SMTP_URL=" + box.smtp, "SMTP_DEADLINE=" + smtpDeadline, "STRIPE_URL=" + bank.url, "STRIPE_SECRET_KEY=" + secretKey,
		"STRIPE_PUBLISHABLE_KEY=" + publishableKey, "STRIPE_WEBHOOK_SECRET=" + webhookSecret,
	}
	at := map[string][]string{} // addresses of each worker's replicas
	for replica := range 2 {
		for _, name := range workers {
			at[name] = append(at[name], w.join(t, programs, name, fmt.Sprintf("%s %d", name, replica+1), env))
		}
	}
	known := []string{"SANDBOX_URL=" + bank.url}
	for _, name := range workers {
		known = append(known, strings.ToUpper(name)+"_URL="+strings.Join(at[name], ","))
	}
	w.shop.Storefront = w.join(t, programs, "storefront", "storefront 1", known)
	w.shop.Ops = w.shop.Storefront
	w.join(t, programs, "storefront", "storefront 2", known)
	for _, m := range w.members {
		m.open(t, m.child)
	}
	bank.deliverTo(t, w.shop.Storefront)
	return w
}

// join adds a place for a process at an address that it keeps, and starts the first one.
func (w *world) join(t *testing.T, programs, program, name string, env []string) (url string) {
	t.Helper()
	addr := proc.MustFreeAddr(t)
	m := &member{program: program, addr: addr, command: proc.Command{Name: name, Path: filepath.Join(programs, program),
		Env: append(env[:len(env):len(env)], "HTTP_ADDR="+addr, "LOG_LEVEL=WARN", "FAILPOINT_FILE="+w.trapOf(program))}}
	m.open = func(t *testing.T, child *proc.Process) {
		proc.MustAwaitURL(t, child)
		proc.WaitFor(t, name+" is ready", 30*time.Second, func() bool {
			response, err := http.Get("http://" + addr + "/readyz")
			if err != nil {
				return false
			}
			return response.Body.Close() == nil && response.StatusCode == http.StatusOK
		})
	}
	w.members = append(w.members, m)
	m.begin(t)
	return "http://" + addr
}
