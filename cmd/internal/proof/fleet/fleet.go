package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tillstream/cmd/internal/proof/child"
	"tillstream/cmd/internal/target"
)

// Replicas is how many processes of each worker there are: one works, one stands by.
const Replicas = 2

// ReplicaName is what a replica of a worker is called, counted from 0.
func ReplicaName(worker string, n int) string { return fmt.Sprintf("%s %d", worker, n+1) }

// Bounds of waiting: ten processes on two busy cores take their time to start. To stop, each has the thirty seconds that
// it promises.
const (
	starting = 90 * time.Second
	stopping = 30 * time.Second
)

// ErrNotReady is returned when a process does not become able to work in time.
var ErrNotReady = errors.New("not ready in time")

// Between says at which address a process reaches a server: the server's own, or that of something that stands in the way.
// server is "broker" or "database".
type Between func(process, server, addr string) (instead string, err error)

// Config says what a fleet is made of.
type Config struct {
	Between  Between // default: nothing
	Dir      string  // for data
	Hear     func(name, line string)
	MongoURI string // of somebody else's database; default: one of our own
	Outside  OutsideConfig
	Programs string // directory of executables, see [Build]

	// SweepEvery is how often workers look for overdue orders and for what Stripe knows and they do not; default 2 s, so
	// that what a fault took is made good soon.
	SweepEvery time.Duration
}

// Replica is one process of a worker.
type Replica struct {
	*Part
	Worker string
	URL    string
}

// Fleet is a shop that runs.
type Fleet struct {
	Broker   *Part
	Database *Part // nil: it is somebody else's
	Outside  *Outside
	Workers  []*Replica
	Window   *Part
	Shop     target.Shop // where everything is, with nothing in between

	config   Config
	settings Settings
	broker   string // addresses
	database string
}

// Start starts a shop and returns when it is open. On an error it stops what had started.
func Start(ctx context.Context, config Config) (_ *Fleet, err error) {
	if err := Check(config.Programs); err != nil {
		return nil, err
	}
	if config.Hear == nil {
		config.Hear = func(string, string) {}
	}
	if config.Between == nil {
		config.Between = func(_, _, addr string) (string, error) { return addr, nil }
	}
	f := &Fleet{config: config, settings: NewSettings()}
	if config.SweepEvery > 0 {
		f.settings.SweepEvery, f.settings.ReconcileEvery = config.SweepEvery, config.SweepEvery
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Stop())
		}
	}()
	for _, step := range []func(context.Context) error{f.startOutside, f.startServers, f.startWorkers, f.openWindow} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *Fleet) startOutside(context.Context) (err error) {
	f.config.Outside.Keys = f.settings.Keys
	if f.Outside, err = StartOutside(f.config.Outside); err != nil {
		return err
	}
	f.settings.Stripe, f.settings.SMTP = f.Outside.Stripe, f.Outside.SMTP
	f.Shop = target.Shop{Mail: f.Outside.Mail, Stripe: f.Outside.Stripe, StripeSecretKey: f.settings.Keys.Secret,
		StripePublishableKey: f.settings.Keys.Publishable, OpsToken: f.settings.OpsToken, MongoDB: f.config.MongoURI}
	return nil
}

func (f *Fleet) startServers(context.Context) (err error) {
	if f.broker, err = child.FreeAddr(); err != nil {
		return err
	}
	command, err := BrokerCommand(f.config.Programs, filepath.Join(f.config.Dir, "broker"), f.broker)
	if err != nil {
		return err
	}
	f.Shop.NATS = "nats://" + f.broker
	f.Broker = newPart(command, f.config.Hear)
	if err := f.Broker.Start(); err != nil || f.config.MongoURI != "" {
		return err
	}
	if f.database, err = child.FreeAddr(); err != nil {
		return err
	}
	f.Shop.MongoDB = mongoURI(f.database)
	f.Database = newPart(child.Command{Name: "database", Path: filepath.Join(f.config.Programs, "database"),
		Args: []string{"--addr", f.database, "--dir", filepath.Join(f.config.Dir, "database")}}, f.config.Hear)
	return f.Database.Start()
}

func mongoURI(addr string) string { return "mongodb://" + addr + "/tillstream" }

// startWorkers starts all of them at once, as in a deployment, and waits until they can work.
func (f *Fleet) startWorkers(ctx context.Context) error {
	for n := range Replicas {
		for _, worker := range Workers {
			r, err := f.replica(worker, ReplicaName(worker, n))
			if err != nil {
				return err
			}
			f.Workers = append(f.Workers, r)
			if err := r.Start(); err != nil {
				return err
			}
		}
	}
	return f.AwaitReady(ctx)
}

func (f *Fleet) replica(worker, name string) (*Replica, error) {
	at, err := child.FreeAddr()
	if err != nil {
		return nil, err
	}
	nats, err := f.config.Between(name, "broker", f.broker)
	if err != nil {
		return nil, err
	}
	mongo := f.config.MongoURI
	if mongo == "" {
		instead, err := f.config.Between(name, "database", f.database)
		if err != nil {
			return nil, err
		}
		mongo = mongoURI(instead)
	}
	part := newPart(child.Command{Name: name, Path: filepath.Join(f.config.Programs, worker),
		Env: append(f.settings.Env("nats://"+nats, mongo), "HTTP_ADDR="+at)}, f.config.Hear)
	return &Replica{Part: part, Worker: worker, URL: "http://" + at}, nil
}

// AwaitReady waits until every worker says that it can work, and nothing keeps its projections from catching up.
func (f *Fleet) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	for _, r := range f.Workers {
		if err := AwaitReady(ctx, r.Name, r.URL); err != nil {
			return err
		}
	}
	return nil
}

// AwaitReady waits until a process says that it can work. It returns [ErrNotReady] with what it said last when ctx ends.
func AwaitReady(ctx context.Context, name, at string) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		said, ready := ask(ctx, at+"/readyz")
		if ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %s", name, ErrNotReady, said)
		case <-ticker.C:
		}
	}
}

func ask(ctx context.Context, address string) (said string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err.Error(), false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error(), false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err.Error(), false
	}
	return string(body), response.StatusCode == http.StatusOK && strings.Contains(string(body), `"ready"`)
}

// openWindow starts the storefront, which knows every replica.
func (f *Fleet) openWindow(ctx context.Context) error {
	at, err := child.FreeAddr()
	if err != nil {
		return err
	}
	known := func(worker string) string {
		var addresses []string
		for _, r := range f.Workers {
			if r.Worker == worker {
				addresses = append(addresses, r.URL)
			}
		}
		return strings.Join(addresses, ",")
	}
	f.Window = newPart(child.Command{Name: "storefront", Path: filepath.Join(f.config.Programs, "storefront"),
		Env: append(f.settings.WindowEnv(known), "HTTP_ADDR="+at)}, f.config.Hear)
	if err := f.Window.Start(); err != nil {
		return err
	}
	origin := url.URL{Scheme: "http", Host: at}
	f.Shop.Storefront, f.Shop.Ops = origin.String(), origin.String()
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	if err := AwaitReady(ctx, "storefront", f.Shop.Storefront); err != nil {
		return err
	}
	return f.Outside.DeliverWebhooksTo(f.Shop.Storefront)
}

// Replace stops a replica and starts it again from the programs of another directory, such as those of another release, and
// returns when it can work.
func (f *Fleet) Replace(ctx context.Context, r *Replica, programs string) error {
	if err := r.Stop(); err != nil {
		return err
	}
	r.setPath(filepath.Join(programs, r.Worker))
	if err := r.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	return AwaitReady(ctx, r.Name, r.URL)
}

// Parts are all processes, those that others stand on last.
func (f *Fleet) Parts() []*Part {
	parts := []*Part{f.Window}
	for _, r := range f.Workers {
		parts = append(parts, r.Part)
	}
	return append(parts, f.Broker, f.Database)
}

// Falls says how often which process ended by itself.
func (f *Fleet) Falls() map[string]int {
	falls := map[string]int{}
	for _, p := range f.Parts() {
		if p != nil && p.Falls() > 0 {
			falls[p.Name] = p.Falls()
		}
	}
	return falls
}

// Stop stops everything in good order: first all who work, then what they stand on. What does not stop is killed, and an
// error.
func (f *Fleet) Stop() error {
	parts := f.Parts()
	servers := len(parts) - 2
	problem := stopAll(parts[:servers])
	problem = errors.Join(problem, stopAll(parts[servers:]))
	if f.Outside != nil {
		problem = errors.Join(problem, f.Outside.Stop())
	}
	return problem
}

func stopAll(parts []*Part) error {
	problems := make([]error, len(parts))
	var stopped sync.WaitGroup
	for i, p := range parts {
		if p != nil {
			stopped.Go(func() { problems[i] = p.finish() })
		}
	}
	stopped.Wait()
	return errors.Join(problems...)
}
