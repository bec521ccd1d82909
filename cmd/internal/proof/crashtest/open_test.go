//go:build unix

package crashtest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
	"tillstream/events/project/projecttest"
)

// Settings that the processes of a fleet share.
const (
	opsKey         = "tsk_of_a_swept_shop"
	tokenSecret    = "token_secret_of_a_swept_shop"
	secretKey      = "sk_test_tillstream_sweep"
	publishableKey = "pk_test_tillstream_sweep"
	webhookSecret  = "whsec_sweep_0123456789abcdef"
)

// workers are the workers in the order in which they are started.
var workers = []string{"inventory", "orders", "payments", "notifications"}

// openFleet starts a broker, two replicas of each worker and two storefronts. Database, Stripe and mail server are in the test's
// process and never fail.
func openFleet(t *testing.T) *deployment {
	t.Helper()
	if proc.Raced {
		t.Skip("ten programs with the race detector are too slow; package process runs a fleet with it")
	}
	packages := []string{"tillstream/cmd/storefront"}
	for _, name := range workers {
		packages = append(packages, "tillstream/cmd/"+name)
	}
	programs := proc.MustBuild(t, packages...)
	d := newDeployment(t, "fleet")
	bank, box := openBank(t), openMailbox(t)
	d.shop = target.Shop{NATS: fleet.StartBroker(t), MongoDB: projecttest.URI(t), Mail: box.page, Stripe: bank.url,
		StripeSecretKey: secretKey, StripePublishableKey: publishableKey, OpsKey: opsKey}
	env := []string{
		"MONGODB_URI=" + d.shop.MongoDB, "NATS_URL=" + d.shop.NATS, "TOKEN_SECRET=" + tokenSecret, "HOLD_FOR=" + holdFor,
		"SWEEP_EVERY=" + sweepEvery, "RECONCILE_EVERY=" + sweepEvery, "PUBLIC_URL=https://shop.example", "ALLOW_TEST_KEYS=true", "MAIL_FROM=Shop <orders@shop.example>",
		"SMTP_URL=" + box.smtp, "SMTP_DEADLINE=" + smtpDeadline, "STRIPE_API_BASE=" + bank.url, "STRIPE_SECRET_KEY=" + secretKey,
		"STRIPE_PUBLISHABLE_KEY=" + publishableKey, "STRIPE_WEBHOOK_SECRET=" + webhookSecret,
	}
	at := map[string][]string{} // addresses of each worker's replicas
	for replica := range 2 {
		for _, name := range workers {
			at[name] = append(at[name], d.addReplica(t, programs, name, fmt.Sprintf("%s %d", name, replica+1), env))
		}
	}
	storefrontEnv := []string{"SANDBOX_PUBLIC_URL=" + bank.url}
	for _, name := range workers {
		storefrontEnv = append(storefrontEnv, strings.ToUpper(name)+"_URL="+strings.Join(at[name], ","))
	}
	d.shop.Storefront = d.addReplica(t, programs, "storefront", "storefront 1", storefrontEnv)
	d.shop.Ops, d.ops = at["inventory"][0], at["orders"][0]
	d.addReplica(t, programs, "storefront", "storefront 2", storefrontEnv)
	for _, s := range d.slots {
		s.open(t, s.child)
	}
	if err := fleet.KeepKey(t.Context(), d.shop); err != nil {
		t.Fatal(err)
	}
	for name, urls := range at {
		awaitKey(t, name, urls, d.shop.OpsKey)
	}
	bank.deliverTo(t, d.shop.Storefront)
	return d
}

// awaitKey waits until every replica of a worker accepts an API key.
func awaitKey(t *testing.T, worker string, urls []string, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, url := range urls {
		if err := fleet.AwaitKey(ctx, worker, url, key); err != nil {
			t.Fatal(err)
		}
	}
}

// addReplica adds a slot with a fixed address and starts its first process.
func (d *deployment) addReplica(t *testing.T, programs, program, name string, env []string) (url string) {
	t.Helper()
	addr := proc.MustFreeAddr(t)
	s := &slot{program: program, addr: addr, command: proc.Command{Name: name, Path: filepath.Join(programs, program),
		Env: append(env[:len(env):len(env)], "HTTP_ADDR="+addr, "LOG_LEVEL=WARN", "FAILPOINT_FILE="+d.failpointFile(program))}}
	s.open = func(t *testing.T, child *proc.Process) {
		proc.MustAwaitURL(t, child)
		proc.WaitFor(t, name+" is ready", 30*time.Second, func() bool {
			response, err := http.Get("http://" + addr + "/readyz")
			if err != nil {
				return false
			}
			return response.Body.Close() == nil && response.StatusCode == http.StatusOK
		})
	}
	d.slots = append(d.slots, s)
	s.launch(t)
	return "http://" + addr
}

var shopIsOpen = regexp.MustCompile(`^(The shop is open)`)

// openSingle starts cmd/shop in a directory of its own at fixed addresses. settings (NAME=value) override those of both
// deployments.
func openSingle(t *testing.T, settings ...string) *deployment {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	d := newDeployment(t, "single")
	args := []string{"--data", data}
	for _, flag := range []string{"--http", "--nats", "--mongo", "--ops", "--stripe", "--smtp"} {
		args = append(args, flag, proc.MustFreeAddr(t))
	}
	env := append([]string{"HOLD_FOR=" + holdFor, "SWEEP_EVERY=" + sweepEvery, "SMTP_DEADLINE=" + smtpDeadline, "FAILPOINT_FILE=" + d.failpointFile("shop")}, settings...)
	program := filepath.Join(proc.MustBuild(t, "tillstream/cmd/shop"), "shop")
	s := &slot{program: "shop", command: proc.Command{Name: "shop", Path: program, Args: args, Env: env}}
	s.open = func(t *testing.T, child *proc.Process) {
		if _, err := child.AwaitLine(t.Context(), shopIsOpen); err != nil {
			t.Fatal(err)
		}
	}
	d.slots = []*slot{s}
	s.start(t)
	ready, err := os.ReadFile(filepath.Join(data, "ready.json"))
	if err == nil {
		err = json.Unmarshal(ready, &d.shop)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}
