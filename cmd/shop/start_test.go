package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
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

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/target"
	"tillstream/events/embedded"
)

// The error names the address that is in use, and no server keeps running.
func TestAddressInUseIsNamed(t *testing.T) {
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
			signal := &readySignal{ready: make(chan struct{})}
			err := Run(t.Context(), config, slog.New(slog.DiscardHandler), signal)
			if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
				t.Fatalf("Run() = %v, want an error with %s", err, taken.Addr())
			}
			select {
			case <-signal.ready:
				t.Error("the shop reported that it is ready")
			default:
			}
			openShop(t, free) // the directory is unlocked again
		})
	}
}

// The second shop fails before it changes anything, and the first one keeps running.
func TestSecondShopInADataDirectoryFails(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	err := Run(t.Context(), ts.config, slog.New(slog.DiscardHandler), &readySignal{ready: make(chan struct{})})
	if !errors.Is(err, embedded.ErrDirInUse) || !strings.Contains(err.Error(), "directory "+ts.config.Data+" is in use") {
		t.Errorf("Run() of the second shop = %v, want ErrDirInUse with the directory", err)
	}
	ts.mailed(t, ts.buy(t, cart("ada", line{"MUG", 1})).Email, 1)
}

// From an empty directory to a shop with items takes three seconds at most.
func TestFirstStartOpensAShopWithDemoItems(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.json")
	started := time.Now()
	ts := startShop(t, func(c *Config) { c.NoDemo, c.ReadyFile = false, file })
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("ready after %s, want 3s at most", took)
	}
	var ready map[string]string
	readFile(t, file, &ready)
	want := []string{"data", "mail", "mongodb", "nats", "ops", "ops_key", "storefront", "stripe", "stripe_publishable_key", "stripe_secret_key"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(ready))); diff != "" {
		t.Errorf("keys of the ready file (-want +got):\n%s", diff)
	}
	for key, value := range ready {
		if value == "" {
			t.Errorf("ready file: %s is empty", key)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the ready file = %v (%v), want 0600: it contains tokens", info.Mode(), err)
	}
	var catalogue struct {
		Items []struct{ SKU, Title, Image string }
	}
	ts.get(t, "/api/items?limit=100", "").into(t, http.StatusOK, &catalogue)
	if len(catalogue.Items) < 20 {
		t.Errorf("the catalogue has %d items, want 20 or more", len(catalogue.Items))
	}
	for _, item := range catalogue.Items {
		if a := ts.get(t, item.Image, ""); a.Status != http.StatusOK || a.Header.Get("Content-Type") != "image/svg+xml" {
			t.Errorf("picture of %s: status %d, Content-Type %s", item.SKU, a.Status, a.Header.Get("Content-Type"))
		}
	}
	allPagesAnswer(t, ts)
}

// allPagesAnswer requests every page, and compares the routes of the API with its document.
func allPagesAnswer(t *testing.T, ts *testShop) {
	t.Helper()
	for path, kind := range map[string]string{"/": "text/html", "/cart": "text/html", "/checkout": "text/html", "/mail": "text/html", "/docs": "text/html",
		"/openapi.json": "application/json", "/healthz": "application/json", "/readyz": "application/json", "/metrics": "text/plain"} {
		if a := ts.get(t, path, ""); a.Status != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), kind) {
			t.Errorf("GET %s: status %d, Content-Type %q", path, a.Status, a.Header.Get("Content-Type"))
		}
	}
	var document struct {
		OpenAPI string                     `json:"openapi"`
		Paths   map[string]json.RawMessage `json:"paths"`
	}
	ts.get(t, "/openapi.json", "").into(t, http.StatusOK, &document)
	for _, path := range []string{"/api/items", "/api/items/{sku}", "/api/orders", "/api/orders/{id}", "/api/orders/{id}/events", "/api/orders/{id}/cancel",
		"/api/orders/{id}/payment", "/webhooks/stripe"} {
		if _, there := document.Paths[path]; !there || !strings.HasPrefix(document.OpenAPI, "3.1") {
			t.Errorf("OpenAPI %s document lacks %s", document.OpenAPI, path)
		}
	}
	if a := ts.get(t, "/readyz", ""); !strings.Contains(string(a.Body), `"ready"`) {
		t.Errorf("GET /readyz = %s, want ready", a.Body)
	}
}

// Of two shops that start at once in a new directory, the one that fails must not write secrets. After a restart the other
// one would use them, and no customer's order link would work any more.
func TestShopThatCannotOpenWritesNoSecrets(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	first, err := embedded.LockDir(config.Data)
	if err != nil {
		t.Fatal(err)
	}
	err = Run(t.Context(), config, slog.New(slog.DiscardHandler), &readySignal{ready: make(chan struct{})})
	if !errors.Is(err, embedded.ErrDirInUse) || strings.Contains(err.Error(), "invalid") {
		t.Errorf("Run() of the second shop = %q, want ErrDirInUse only", err)
	}
	if _, err := os.Stat(config.dir("secrets.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("secrets.json exists (%v), want none", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openShop(t, config)
}

// Row 78 of the fault matrix: journals show the start-up message to others than the owner of the data directory. Tools read the ready file, which only its owner can read.
func TestStartUpMessageHasNoPasswords(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printReady(&out, target.Shop{NATS: "nats://shop:hidden@a:4222,nats://hidden@b:4222", MongoDB: "mongodb://shop:hidden@c:27017/t?tlsCertificateKeyFile=hidden", OpsKey: "tsk_hidden"}, Config{Data: "data"}, "http://127.0.0.1:8090/ops")
	if text := out.String(); strings.Contains(text, "hidden") || !strings.Contains(text, filepath.Join("data", "ready.json")) || !strings.Contains(text, "b:4222") || !strings.Contains(text, "c:27017/t") {
		t.Errorf("start-up message =\n%s\nwant addresses without passwords", text)
	}
}
