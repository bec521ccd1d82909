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
	StripePublishableKey: "pk_test_tillstream_x", NATS: "nats://127.0.0.1:4", MongoDB: "mongodb://127.0.0.1:5/t", Ops: "http://127.0.0.1:6", OpsToken: "token"}

func readyFile(t *testing.T, path string, content any) string {
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

func equal(t *testing.T, got, want target.Shop) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(target.Shop{})); diff != "" {
		t.Error(diff)
	}
}

func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"TILLSTREAM_SHOP", "NATS_URL", "MONGODB_URI", "STOREFRONT_URL", "MAIL_URL", "STRIPE_URL",
		"STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "OPS_URL", "OPS_TOKEN"} {
		t.Setenv(name, "") // puts back what was there, in the end
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestResolve(t *testing.T) {
	clearEnvironment(t)
	t.Chdir(t.TempDir())

	t.Run("NothingGivenSaysWhatToDo", func(t *testing.T) {
		_, err := resolve(t)
		if !errors.Is(err, target.ErrNoShop) || !strings.Contains(err.Error(), "--ready-file shop.json") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("ReadyFile", func(t *testing.T) {
		got, err := resolve(t, "--shop", readyFile(t, filepath.Join(t.TempDir(), "shop.json"), shop))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, shop)
	})
	t.Run("ReadyFileFromEnvironment", func(t *testing.T) {
		t.Setenv("TILLSTREAM_SHOP", readyFile(t, filepath.Join(t.TempDir(), "shop.json"), shop))
		got, err := resolve(t)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, shop)
	})
	t.Run("OneAddressWinsOverTheFile", func(t *testing.T) {
		got, err := resolve(t, "--shop", readyFile(t, filepath.Join(t.TempDir(), "shop.json"), shop), "--nats", "nats://other:4222", "--ops", "http://other/")
		if err != nil {
			t.Fatal(err)
		}
		want := shop
		want.NATS, want.Ops = "nats://other:4222", "http://other"
		equal(t, got, want)
	})
	t.Run("ManyProcesses", func(t *testing.T) {
		t.Setenv("MONGODB_URI", "mongodb://db/t")
		got, err := resolve(t, "--nats", "nats://a:4222", "--stripe-secret-key", "sk_live_x")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, target.Shop{NATS: "nats://a:4222", MongoDB: "mongodb://db/t", StripeSecretKey: "sk_live_x", Stripe: "https://api.stripe.com"})
	})
	t.Run("ASandboxKeyNeverGoesToTheRealStripe", func(t *testing.T) {
		got, err := resolve(t, "--nats", "nats://a:4222", "--stripe-secret-key", "sk_test_tillstream_x")
		if err != nil || got.Stripe != "" {
			t.Errorf("got %q, %v; want no address", got.Stripe, err)
		}
	})
	t.Run("MissingFile", func(t *testing.T) {
		_, err := resolve(t, "--shop", "nowhere.json")
		if !errors.Is(err, target.ErrReadyFile) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("FileOfSomethingElse", func(t *testing.T) {
		_, err := resolve(t, "--shop", readyFile(t, filepath.Join(t.TempDir(), "shop.json"), map[string]int{"answer": 42}))
		if !errors.Is(err, target.ErrReadyFile) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("DefaultReadyFile", func(t *testing.T) {
		readyFile(t, target.DefaultReadyFile, shop)
		got, err := resolve(t)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, shop)
	})
}

func TestLog(t *testing.T) {
	t.Parallel()
	t.Run("NoAddress", func(t *testing.T) {
		t.Parallel()
		_, _, err := target.Shop{}.Log(t.Context())
		if !errors.Is(err, target.ErrUnknownAddress) || !strings.Contains(err.Error(), "--nats") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("NobodyThere", func(t *testing.T) {
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
	t.Run("NoShopBehindThePassword", func(t *testing.T) {
		t.Parallel()
		server := strings.Replace(logtest.Server(t).URL(), "://", "://user:hidden@", 1)
		_, _, err := target.Shop{NATS: server + "," + server}.Log(t.Context())
		if !errors.Is(err, replay.ErrNoShop) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("got %v; want ErrNoShop without the password", err)
		}
	})
	t.Run("BrokerWithoutShopStaysAsItIs", func(t *testing.T) {
		t.Parallel()
		server := logtest.Server(t)
		for range 2 { // the second look would find streams if the first had made any
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
			t.Errorf("got %d, %v; want an empty log", last, err)
		}
	})
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	if _, _, err := (target.Shop{}).Database(t.Context()); !errors.Is(err, target.ErrUnknownAddress) {
		t.Errorf("no address: got %v", err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err := target.Shop{MongoDB: "mongodb://user:hidden@127.0.0.1:1/t"}.Database(soon)
	if !errors.Is(err, target.ErrUnreachable) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("nobody there: got %v; want ErrUnreachable without the password", err)
	}
}
