//go:build unix

package process_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
	"tillstream/events/project/projecttest"
)

func TestMain(m *testing.M) { os.Exit(proc.Main(m)) }

// workers are in the order of their start.
var workers = fleet.Workers

// shopFleet is a shop as it runs in production: a broker, two replicas of each worker and two storefronts, each a process
// of its own. The database, Stripe and the mail server run in the test's process, so that they survive.
type shopFleet struct {
	programs string
	broker   string
	mongo    string
	settings fleet.Settings
	outside  *fleet.Outside

	replicas    [2]map[string]*proc.Process // by program; storefronts 2 and 3 share an entry
	at          [2]map[string]string        // addresses of the workers
	storefronts [2]string                   // addresses of the storefronts
}

// startFleet starts the first replica of each worker, waits until it is ready, and then starts the second, which stands by. Then
// it starts the storefronts.
func startFleet(t *testing.T) *shopFleet {
	t.Helper()
	f := &shopFleet{settings: fleet.NewSettings(), broker: fleet.StartBroker(t), mongo: projecttest.URI(t)}
	packages := []string{"tillstream/cmd/storefront"}
	for _, name := range workers {
		packages = append(packages, "tillstream/cmd/"+name)
	}
	f.programs = proc.MustBuild(t, packages...)
	f.startOutside(t)
	for i := range f.replicas {
		f.replicas[i], f.at[i] = map[string]*proc.Process{}, map[string]string{}
		for _, name := range workers {
			f.replicas[i][name] = f.start(t, fmt.Sprintf("%s %d", name, i+1), name, f.settings.Env(f.broker, f.mongo))
		}
		for _, name := range workers {
			f.at[i][name] = proc.MustAwaitURL(t, f.replicas[i][name])
			awaitReady(t, name, f.at[i][name])
		}
	}
	if err := fleet.KeepKey(t.Context(), target.Shop{NATS: f.broker, OpsKey: f.settings.OpsKey}); err != nil {
		t.Fatal(err)
	}
	for i := range f.at {
		for name, url := range f.at[i] {
			if err := fleet.AwaitKey(t.Context(), name, url, f.settings.OpsKey); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range f.storefronts {
		f.storefronts[i] = f.startStorefront(t, fmt.Sprintf("storefront %d", i+1), 0, 1)
	}
	f.deliverWebhooksTo(t, f.storefronts[0])
	return f
}

// startStorefront starts a storefront with some replicas of each worker, and returns its address.
func (f *shopFleet) startStorefront(t *testing.T, name string, replicas ...int) (url string) {
	t.Helper()
	known := func(worker string) string {
		var addresses []string
		for _, i := range replicas {
			addresses = append(addresses, f.at[i][worker])
		}
		return strings.Join(addresses, ",")
	}
	child := f.start(t, name, "storefront", f.settings.StorefrontEnv(known))
	if name == "storefront 1" {
		f.replicas[0][name] = child
	} else {
		f.replicas[1][name] = child
	}
	return proc.MustAwaitURL(t, child)
}

func (f *shopFleet) start(t *testing.T, name, program string, env []string) *proc.Process {
	t.Helper()
	return proc.MustStart(t, proc.Command{Name: name, Path: filepath.Join(f.programs, program),
		Env: append(env, "HTTP_ADDR=127.0.0.1:0")})
}

// startOutside starts the external services: Stripe and a mail server.
func (f *shopFleet) startOutside(t *testing.T) {
	t.Helper()
	var err error
	f.outside, err = fleet.StartOutside(fleet.OutsideConfig{Keys: f.settings.Keys,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		t.Fatal(err)
	}
	f.settings.Stripe, f.settings.SMTP = f.outside.Stripe, f.outside.SMTP
	t.Cleanup(func() {
		if err := f.outside.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// deliverWebhooksTo sets the storefront that gets webhooks, as a load balancer does.
func (f *shopFleet) deliverWebhooksTo(t *testing.T, storefront string) {
	t.Helper()
	if err := f.outside.DeliverWebhooksTo(storefront); err != nil {
		t.Fatal(err)
	}
}

// awaitReady waits until a process is ready.
func awaitReady(t *testing.T, name, at string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := proc.AwaitReady(ctx, name, at); err != nil {
		t.Fatal(err)
	}
}
