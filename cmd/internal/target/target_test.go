package target_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tillstream/cmd/internal/target"
	"tillstream/events"
	"tillstream/events/log/logtest"
	"tillstream/events/replay"
)

var shop = target.Shop{Storefront: "http://127.0.0.1:1", Mail: "http://127.0.0.1:2", Stripe: "http://127.0.0.1:3", StripeSecretKey: "sk_test_tillstream_x",
	StripePublishableKey: "pk_test_tillstream_x", NATS: "nats://127.0.0.1:4", MongoDB: "mongodb://127.0.0.1:5/t", Ops: "http://127.0.0.1:6", OpsKey: "tsk_key"}

func writeReadyFile(t *testing.T, path string, content any) string {
	t.Helper()
	data, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func resolve(t *testing.T, args ...string) (target.Shop, error) {
	t.Helper()
	var flags struct {
		Work struct {
			target.Target `embed:""`
		} `cmd:""`
	}
	parser, err := kong.New(&flags, kong.Vars(target.Vars()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"work"}, args...)); err != nil {
		t.Fatal(err)
	}
	return flags.Work.Resolve()
}

func checkShop(t *testing.T, got, want target.Shop) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(target.Shop{})); diff != "" {
		t.Errorf("shop (-want +got):\n%s", diff)
	}
}

func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"TILLSTREAM_SHOP", "NATS_URL", "MONGODB_URI", "STOREFRONT_URL", "MAIL_URL", "STRIPE_API_BASE",
		"STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "OPS_URL", "OPS_KEY"} {
		t.Setenv(name, "") // restores the value when the test ends
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResolveReturnsAddressesOfTheShop(t *testing.T) {
	clearEnvironment(t)
	t.Chdir(t.TempDir())

	t.Run("NoFlagsNameTheReadyFileFlag", func(t *testing.T) {
		_, err := resolve(t)
		if !errors.Is(err, target.ErrNoShop) || !strings.Contains(err.Error(), "--ready-file shop.json") {
			t.Errorf("Resolve: got %v, want ErrNoShop naming --ready-file", err)
		}
	})
	t.Run("ReadyFile", func(t *testing.T) {
		got, err := resolve(t, "--shop", writeReadyFile(t, filepath.Join(t.TempDir(), "shop.json"), shop))
		if err != nil {
			t.Fatal(err)
		}
		checkShop(t, got, shop)
	})
	t.Run("ReadyFileFromEnvironment", func(t *testing.T) {
		t.Setenv("TILLSTREAM_SHOP", writeReadyFile(t, filepath.Join(t.TempDir(), "shop.json"), shop))
		got, err := resolve(t)
		if err != nil {
			t.Fatal(err)
		}
		checkShop(t, got, shop)
	})
	t.Run("AddressOverridesReadyFile", func(t *testing.T) {
		got, err := resolve(t, "--shop", writeReadyFile(t, filepath.Join(t.TempDir(), "shop.json"), shop), "--nats", "nats://other:4222", "--ops", "http://other/")
		if err != nil {
			t.Fatal(err)
		}
		want := shop
		want.NATS, want.Ops = "nats://other:4222", "http://other"
		checkShop(t, got, want)
	})
	t.Run("AddressesOnly", func(t *testing.T) {
		t.Setenv("MONGODB_URI", "mongodb://db/t")
		got, err := resolve(t, "--nats", "nats://a:4222", "--stripe-secret-key", "sk_live_x")
		if err != nil {
			t.Fatal(err)
		}
		checkShop(t, got, target.Shop{NATS: "nats://a:4222", MongoDB: "mongodb://db/t", StripeSecretKey: "sk_live_x", Stripe: "https://api.stripe.com"})
	})
	t.Run("SandboxKeyHasNoDefaultAddress", func(t *testing.T) {
		got, err := resolve(t, "--nats", "nats://a:4222", "--stripe-secret-key", "sk_test_tillstream_x")
		if err != nil || got.Stripe != "" {
			t.Errorf("Stripe address: got %q, %v; want none", got.Stripe, err)
		}
	})
	t.Run("MissingFile", func(t *testing.T) {
		_, err := resolve(t, "--shop", "nowhere.json")
		if !errors.Is(err, target.ErrReadyFile) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Resolve: got %v, want ErrReadyFile and ErrNotExist", err)
		}
	})
	t.Run("FileWithoutAddresses", func(t *testing.T) {
		_, err := resolve(t, "--shop", writeReadyFile(t, filepath.Join(t.TempDir(), "shop.json"), map[string]int{"answer": 42}))
		if !errors.Is(err, target.ErrReadyFile) {
			t.Errorf("Resolve: got %v, want ErrReadyFile", err)
		}
	})
	t.Run("DefaultReadyFile", func(t *testing.T) {
		writeReadyFile(t, target.DefaultReadyFile, shop)
		got, err := resolve(t)
		if err != nil {
			t.Fatal(err)
		}
		checkShop(t, got, shop)
	})
}

func TestLogOpensOrNamesTheCause(t *testing.T) {
	t.Parallel()
	t.Run("NoAddress", func(t *testing.T) {
		t.Parallel()
		_, _, err := target.Shop{}.Log(t.Context())
		if !errors.Is(err, target.ErrUnknownAddress) || !strings.Contains(err.Error(), "--nats") {
			t.Errorf("Log: got %v, want ErrUnknownAddress naming --nats", err)
		}
	})
	t.Run("NoBroker", func(t *testing.T) {
		t.Parallel()
		_, _, err := target.Shop{NATS: "nats://user:hidden@127.0.0.1:1"}.Log(t.Context())
		if !errors.Is(err, target.ErrUnreachable) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("got %v; want ErrUnreachable without the password", err)
		}
	})
	t.Run("UnreadableAddress", func(t *testing.T) {
		t.Parallel()
		_, _, err := target.Shop{NATS: "nats://user:hidden%@127.0.0.1:1"}.Log(t.Context())
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("got %v; want an error without the password", err)
		}
	})
	t.Run("BrokerWithoutShopHidesPassword", func(t *testing.T) {
		t.Parallel()
		server := strings.Replace(logtest.Server(t).URL(), "://", "://user:hidden@", 1)
		_, _, err := target.Shop{NATS: server + "," + server}.Log(t.Context())
		if !errors.Is(err, replay.ErrNoShop) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("got %v; want ErrNoShop without the password", err)
		}
	})
	t.Run("BrokerWithoutShopIsUnchanged", func(t *testing.T) {
		t.Parallel()
		server := logtest.Server(t)
		for range 2 { // the second call would find streams that the first had made
			_, _, err := target.Shop{NATS: server.URL()}.Log(t.Context())
			if !errors.Is(err, replay.ErrNoShop) || !strings.Contains(err.Error(), events.StreamShop) {
				t.Errorf("got %v; want ErrNoShop naming the stream", err)
			}
		}
	})
	t.Run("Shop", func(t *testing.T) {
		t.Parallel()
		server := logtest.Server(t)
		logtest.OpenOn(t, server)
		reader, stop, err := target.Shop{NATS: server.URL()}.Log(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		if last, err := reader.Last(t.Context()); err != nil || last != 0 {
			t.Errorf("Last: got %d, %v; want 0", last, err)
		}
	})
}

func TestDatabaseNamesTheCause(t *testing.T) {
	t.Parallel()
	if _, _, err := (target.Shop{}).Database(t.Context()); !errors.Is(err, target.ErrUnknownAddress) {
		t.Errorf("no address: got %v, want ErrUnknownAddress", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err := target.Shop{MongoDB: "mongodb://user:hidden@127.0.0.1:1/t"}.Database(ctx)
	if !errors.Is(err, target.ErrUnreachable) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("no database: got %v; want ErrUnreachable without the password", err)
	}
}
