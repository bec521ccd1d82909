package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"tillstream/events/embedded"
)

// TestTakenAddresses: whichever port somebody else has, the error names it, and nothing is left running.
func TestTakenAddresses(t *testing.T) {
	taken, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, set := range map[string]func(*Config, string){
		"HTTP":   func(c *Config, at string) { c.HTTP = at },
		"NATS":   func(c *Config, at string) { c.NATS = at },
		"Mongo":  func(c *Config, at string) { c.Mongo = at },
		"Stripe": func(c *Config, at string) { c.Stripe = at },
		"SMTP":   func(c *Config, at string) { c.SMTP = at },
	} {
		t.Run(name, func(t *testing.T) {
			config := testConfig(t, nil)
			free := config
			set(&config, taken.Addr().String())
			bell := &doorbell{rung: make(chan struct{})}
			err := Run(t.Context(), config, slog.New(slog.DiscardHandler), bell)
			if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
				t.Fatalf("with %s taken the shop ends with %v", taken.Addr(), err)
			}
			select {
			case <-bell.rung:
				t.Error("the shop said that it is open")
			default:
			}
			openShop(t, free) // the directory is not locked and nothing stands in the way
		})
	}
}

// TestASecondShopInOneDirectory: it is told so before it touches anything, and the first goes on.
func TestASecondShopInOneDirectory(t *testing.T) {
	t.Parallel()
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 10)
	err := Run(t.Context(), m.config, slog.New(slog.DiscardHandler), &doorbell{rung: make(chan struct{})})
	if !errors.Is(err, embedded.ErrDirInUse) || !strings.Contains(err.Error(), "directory "+m.config.Data+" is in use") {
		t.Errorf("the second shop ends with %v", err)
	}
	m.mailed(t, m.buy(t, cart("ada", line{"MUG", 1})).Email, 1)
}

// TestTheFirstStart: with nothing but an empty directory there is a shop to look at, within three seconds.
func TestTheFirstStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.json")
	started := time.Now()
	m := startShop(t, func(c *Config) { c.NoDemo, c.ReadyFile = false, file })
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("ready after %s", took)
	}
	var ready map[string]string
	readFile(t, file, &ready)
	want := []string{"data", "mail", "mongodb", "nats", "ops", "ops_token", "storefront", "stripe", "stripe_publishable_key", "stripe_secret_key"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(ready))); diff != "" {
		t.Errorf("keys of the ready file (-want +got):\n%s", diff)
	}
	for key, value := range ready {
		if value == "" {
			t.Errorf("the ready file does not know %s", key)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read the ready file, which holds tokens: %v %v", info.Mode(), err)
	}
	var window struct {
		Items []struct{ SKU, Title, Image string }
	}
	m.get(t, "/api/items?limit=100", "").into(t, http.StatusOK, &window)
	if len(window.Items) < 20 {
		t.Errorf("%d items are shown", len(window.Items))
	}
	for _, item := range window.Items {
		if a := m.get(t, item.Image, ""); a.Status != http.StatusOK || a.Header.Get("Content-Type") != "image/svg+xml" {
			t.Errorf("the picture of %s answers %d as %s", item.SKU, a.Status, a.Header.Get("Content-Type"))
		}
	}
	everythingAnswers(t, m)
}

// everythingAnswers looks behind every door that is announced.
func everythingAnswers(t *testing.T, m *testShop) {
	t.Helper()
	for path, kind := range map[string]string{"/": "text/html", "/cart": "text/html", "/checkout": "text/html", "/mail": "text/html", "/docs": "text/html",
		"/openapi.json": "application/json", "/healthz": "application/json", "/readyz": "application/json", "/metrics": "text/plain"} {
		if a := m.get(t, path, ""); a.Status != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), kind) {
			t.Errorf("%s answers %d as %q", path, a.Status, a.Header.Get("Content-Type"))
		}
	}
	var document struct {
		OpenAPI string                     `json:"openapi"`
		Paths   map[string]json.RawMessage `json:"paths"`
	}
	m.get(t, "/openapi.json", "").into(t, http.StatusOK, &document)
	for _, path := range []string{"/api/items", "/api/items/{sku}", "/api/orders", "/api/orders/{id}", "/api/orders/{id}/events", "/api/orders/{id}/cancel",
		"/api/orders/{id}/payment", "/webhooks/stripe"} {
		if _, there := document.Paths[path]; !there || !strings.HasPrefix(document.OpenAPI, "3.1") {
			t.Errorf("OpenAPI %s does not describe %s", document.OpenAPI, path)
		}
	}
	if a := m.get(t, "/readyz", ""); !strings.Contains(string(a.Body), `"ready"`) {
		t.Errorf("readiness is %s", a.Body)
	}
}

// TestTheCommandLine: the defaults are those that the documentation names.
func TestTheCommandLine(t *testing.T) {
	for _, name := range []string{"NATS_URL", "MONGODB_URI", "STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_URL",
		"SMTP_URL", "HOLD_FOR", "MAIL_FROM", "MAX_ORDER_LINES", "MEMORY_LIMIT", "PUBLIC_URL", "SHIPPING_FEE", "SMTP_DEADLINE", "SMTP_EHLO", "SWEEP_EVERY", "LOG_JSON", "LOG_LEVEL"} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	parse := func(args ...string) (Config, error) {
		var config Config
		parser, err := kong.New(&config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parser.Parse(args)
		return config, err
	}
	got, err := parse()
	want := Config{Data: "./data", HTTP: "127.0.0.1:8080", NATS: "127.0.0.1:4222", Mongo: "127.0.0.1:27017", Stripe: "127.0.0.1:12111", SMTP: "127.0.0.1:1025",
		HoldFor: 30 * time.Minute, MailFrom: "Tillstream <orders@tillstream.example>", MaxOrderLines: 100, MemoryLimit: 600 << 20, SMTPDeadline: 30 * time.Second, SweepEvery: time.Minute, LogLevel: slog.LevelWarn}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("defaults (-want +got):\n%s%v", diff, err)
	}
	got, err = parse("--data", "x", "--ready-file", "y", "--http", "a:1", "--nats", "b:2", "--mongo", "c:3", "--stripe", "d:4", "--smtp", "e:5", "--max-order-lines", "800", "--memory-limit", "2GiB", "--smtp-ehlo", "till.example", "--hold-for", "5s")
	want = Config{Data: "x", ReadyFile: "y", HTTP: "a:1", NATS: "b:2", Mongo: "c:3", Stripe: "d:4", SMTP: "e:5",
		HoldFor: 5 * time.Second, MailFrom: want.MailFrom, MaxOrderLines: 800, MemoryLimit: 2 << 30, SMTPDeadline: 30 * time.Second, SMTPEHLO: "till.example", SweepEvery: time.Minute, LogLevel: slog.LevelWarn}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("flags (-want +got):\n%s%v", diff, err)
	}
	t.Setenv("STRIPE_SECRET_KEY", "sk_test_x")
	if _, err := parse(); err == nil || !strings.Contains(err.Error(), "STRIPE_WEBHOOK_SECRET") {
		t.Errorf("half of Stripe's settings end with %v", err)
	}
	if _, err := parse("--hold-for", "-1s"); err == nil {
		t.Error("a hold that ends before it begins is taken")
	}
}

// TestTooManyLinesAllowed: a limit above what one atomic batch holds is refused at the start.
func TestTooManyLinesAllowed(t *testing.T) {
	config := testConfig(t, nil)
	config.MaxOrderLines = 801
	err := Run(t.Context(), config, slog.New(slog.DiscardHandler), &doorbell{rung: make(chan struct{})})
	if err == nil || !strings.Contains(err.Error(), "801") {
		t.Errorf("801 lines per order: %v", err)
	}
}
