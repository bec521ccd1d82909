//go:build unix

package process_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/processtest"
	"tillstream/events/embedded"
	"tillstream/events/view"
	"tillstream/notifications/inbox"
	"tillstream/payments/sandbox"
)

func TestMain(m *testing.M) { os.Exit(processtest.Main(m)) }

const (
	opsToken       = "ops_token_of_a_test_shop"
	tokenSecret    = "token_secret_of_a_test_shop"
	secretKey      = "sk_test_tillstream_many"
	publishableKey = "pk_test_tillstream_many"
	webhookSecret  = "whsec_many"
)

// workers in the order that they are started.
var workers = []string{"inventory", "orders", "payments", "notifications"}

// fleet is a shop as it runs in production: a broker, two replicas of each worker and two storefronts, each a process
// of its own. What belongs to others (database, Stripe, mail server) is in the test's process, so that it survives.
type fleet struct {
	programs string
	broker   *processtest.Broker
	mongo    string
	stripe   *sandbox.Server
	bank     string // address of stripe
	box      *inbox.Inbox
	mail     string // address of box's page

	replicas [2]map[string]*processtest.Child // by program; a third storefront counts to the second replicas
	at       [2]map[string]string             // addresses of the workers
	windows  [2]string                        // addresses of the storefronts
}

// startFleet starts the first replica of everything, waits until it works, and then the second, which thus stands by.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{broker: processtest.StartBroker(t), mongo: database(t)}
	packages := []string{"tillstream/cmd/storefront"}
	for _, name := range workers {
		packages = append(packages, "tillstream/cmd/"+name)
	}
	f.programs = processtest.Build(t, packages...)
	f.startOutside(t)
	for i := range f.replicas {
		f.replicas[i], f.at[i] = map[string]*processtest.Child{}, map[string]string{}
		for _, name := range workers {
			f.replicas[i][name] = f.start(t, fmt.Sprintf("%s %d", name, i+1), name, f.workerEnv())
		}
		for _, name := range workers {
			f.at[i][name] = f.replicas[i][name].Listens(t)
			awaitReady(t, name, f.at[i][name])
		}
	}
	for i := range f.windows {
		f.windows[i] = f.openWindow(t, fmt.Sprintf("storefront %d", i+1), 0, 1)
	}
	f.deliverWebhooksTo(t, f.windows[0])
	return f
}

// openWindow starts a storefront that knows some replicas of each worker, and returns its address.
func (f *fleet) openWindow(t *testing.T, name string, replicas ...int) (window string) {
	t.Helper()
	known := func(worker string) string {
		var addresses []string
		for _, i := range replicas {
			addresses = append(addresses, f.at[i][worker])
		}
		return strings.Join(addresses, ",")
	}
	child := f.start(t, name, "storefront", []string{"SANDBOX_URL=" + f.bank, "INVENTORY_URL=" + known("inventory"),
		"ORDERS_URL=" + known("orders"), "PAYMENTS_URL=" + known("payments")})
	if name == "storefront 1" {
		f.replicas[0][name] = child
	} else {
		f.replicas[1][name] = child
	}
	return child.Listens(t)
}

func (f *fleet) start(t *testing.T, name, program string, env []string) *processtest.Child {
	t.Helper()
	return processtest.Start(t, processtest.Command{Name: name, Path: filepath.Join(f.programs, program),
		Env: append(env, "HTTP_ADDR=127.0.0.1:0", "LOG_LEVEL=WARN")})
}

// workerEnv has what any worker needs; each takes its own.
func (f *fleet) workerEnv() []string {
	return []string{
		"MONGODB_URI=" + f.mongo, "NATS_URL=" + f.broker.URL, "OPS_TOKEN=" + opsToken, "TOKEN_SECRET=" + tokenSecret,
		"SWEEP_EVERY=2s", "PUBLIC_URL=https://shop.example", "MAIL_FROM=Shop <orders@shop.example>", "SMTP_URL=smtp://" + f.box.Addr() + "?tls=none",
		"STRIPE_URL=" + f.bank, "STRIPE_SECRET_KEY=" + secretKey, "STRIPE_PUBLISHABLE_KEY=" + publishableKey,
		"STRIPE_WEBHOOK_SECRET=" + webhookSecret, "RECONCILE_EVERY=2s",
	}
}

// startOutside starts what is not ours in production: Stripe and a mail server.
func (f *fleet) startOutside(t *testing.T) {
	t.Helper()
	var err error
	if f.box, err = inbox.Start(inbox.Config{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.box.Stop)
	f.mail = serve(t, f.box.Handler())
	f.stripe, err = sandbox.New(sandbox.Config{SecretKey: secretKey, PublishableKey: publishableKey, WebhookSecret: webhookSecret,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		t.Fatal(err)
	}
	f.bank = serve(t, f.stripe)
	ctx, cancel := context.WithCancel(context.Background())
	delivered := make(chan error, 1)
	go func() { delivered <- f.stripe.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-delivered, f.stripe.Close()); err != nil {
			t.Error(err)
		}
	})
}

func serve(t *testing.T, handler http.Handler) (origin string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections() // a worker's connections stay open for as long as it lives
		server.Close()
	})
	return server.URL
}

// deliverWebhooksTo is what a load balancer in front of the storefronts does.
func (f *fleet) deliverWebhooksTo(t *testing.T, window string) {
	t.Helper()
	if err := f.stripe.SetWebhookURL(window + "/webhooks/stripe"); err != nil {
		t.Fatal(err)
	}
}

// database is an empty one, on TEST_MONGODB_URI or the embedded server. Its URI names it.
func database(t *testing.T) (uri string) {
	t.Helper()
	at := os.Getenv("TEST_MONGODB_URI")
	if at == "" {
		server, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		at = server.URI()
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = fmt.Sprintf("/test_%d", time.Now().UnixNano())
	db, err := view.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		if err := errors.Join(db.Drop(ctx), db.Client().Disconnect(ctx)); err != nil {
			t.Error(err)
		}
	})
	return u.String()
}

// awaitReady waits until a process says that it can work.
func awaitReady(t *testing.T, name, at string) {
	t.Helper()
	processtest.WaitFor(t, name+" is ready", 30*time.Second, func() bool {
		response, err := http.Get(at + "/readyz")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
}
