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
	"tillstream/events/project/projecttest"
)

func TestMain(m *testing.M) { os.Exit(proc.Main(m)) }

// workers are in the order of their start.
var workers = fleet.Workers

// shopFleet is a shop as it runs in production: a broker, two replicas of each worker and two storefronts, each a process
// of its own. What belongs to others (database, Stripe, mail server) is in the test's process, so that it survives.
type shopFleet struct {
	programs string
	broker   string
	mongo    string
	settings fleet.Settings
	outside  *fleet.Outside

	replicas [2]map[string]*proc.Process // by program; a third storefront counts to the second replicas
	at       [2]map[string]string        // addresses of the workers
	windows  [2]string                   // addresses of the storefronts
}

// startFleet starts the first replica of everything, waits until it works, and then the second, which then is on standby.
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
	for i := range f.windows {
		f.windows[i] = f.openWindow(t, fmt.Sprintf("storefront %d", i+1), 0, 1)
	}
	f.deliverWebhooksTo(t, f.windows[0])
	return f
}

// openWindow starts a storefront with some replicas of each worker, and returns its address.
func (f *shopFleet) openWindow(t *testing.T, name string, replicas ...int) (window string) {
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
func (f *shopFleet) deliverWebhooksTo(t *testing.T, window string) {
	t.Helper()
	if err := f.outside.DeliverWebhooksTo(window); err != nil {
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
