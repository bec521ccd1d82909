package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
)

// Replicas is the number of processes of each worker: one holds the leases, one stands by.
const Replicas = 2

// ReplicaName returns the name of a worker's replica n, counted from 0.
func ReplicaName(worker string, n int) string { return fmt.Sprintf("%s %d", worker, n+1) }

// A process may take 90 seconds to become ready, because ten processes start on two busy cores. It may take 30 seconds to
// stop, which is what the shop promises.
const (
	startTimeout = 90 * time.Second
	stopTimeout  = 30 * time.Second
)

// Between returns the address at which a process reaches a server: addr, the server's own, or that of a proxy. server is
// "broker" or "database".
type ProxyFunc func(process, server, addr string) (proxy string, err error)

// Config describes a fleet.
type Config struct {
	Proxy  ProxyFunc                 // default: no proxies
	Dir      string                  // for data
	Output     func(name, line string) // receives the output of every process; default: it is discarded
	MongoURI string                  // of an existing database; default: the fleet starts one
	Outside  OutsideConfig
	Programs string // directory of executables, see [Packages]

	// SweepEvery is the interval of the periodic jobs that look for overdue orders and reconcile payments with Stripe;
	// default 2 s, so that the shop recovers soon after a fault.
	SweepEvery time.Duration
}

// Replica is one process of a worker.
type Replica struct {
	*Service
	Worker string
	URL    string
}

// Fleet is a running shop.
type Fleet struct {
	Broker     *Service
	Database   *Service // nil if Config.MongoURI is set
	Outside    *Outside
	Workers    []*Replica
	Storefront *Service
	Shop       target.Shop // addresses without proxies

	config   Config
	settings Settings
	broker   string // address
	database string // address
}

// Start starts a shop and returns when it is ready. On an error it stops the processes that it has started.
func Start(ctx context.Context, config Config) (_ *Fleet, err error) {
	if err := Check(config.Programs); err != nil {
		return nil, err
	}
	if config.Output == nil {
		config.Output = func(string, string) {}
	}
	if config.Proxy == nil {
		config.Proxy = func(_, _, addr string) (string, error) { return addr, nil }
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
	for _, step := range []func(context.Context) error{f.startOutside, f.startServers, f.startWorkers, f.startStorefront} {
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
	if f.broker, err = proc.FreeAddr(); err != nil {
		return err
	}
	command, err := brokerCommand(f.config.Programs, filepath.Join(f.config.Dir, "broker"), f.broker)
	if err != nil {
		return err
	}
	f.Shop.NATS = "nats://" + f.broker
	f.Broker = newService(command, f.config.Output)
	if err := f.Broker.Start(); err != nil || f.config.MongoURI != "" {
		return err
	}
	if f.database, err = proc.FreeAddr(); err != nil {
		return err
	}
	f.Shop.MongoDB = mongoURI(f.database)
	f.Database = newService(proc.Command{Name: "database", Path: filepath.Join(f.config.Programs, "database"),
		Args: []string{"--addr", f.database, "--dir", filepath.Join(f.config.Dir, "database")}}, f.config.Output)
	return f.Database.Start()
}

func mongoURI(addr string) string { return "mongodb://" + addr + "/tillstream" }

// startWorkers starts all workers at once, as a deployment does, and waits until they are ready.
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
	at, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	nats, err := f.config.Proxy(name, "broker", f.broker)
	if err != nil {
		return nil, err
	}
	mongo := f.config.MongoURI
	if mongo == "" {
		proxy, err := f.config.Proxy(name, "database", f.database)
		if err != nil {
			return nil, err
		}
		mongo = mongoURI(proxy)
	}
	service := newService(proc.Command{Name: name, Path: filepath.Join(f.config.Programs, worker),
		Env: append(f.settings.Env("nats://"+nats, mongo), "HTTP_ADDR="+at)}, f.config.Output)
	return &Replica{Service: service, Worker: worker, URL: "http://" + at}, nil
}

// AwaitReady waits until every worker is ready, which includes that its projections are not stuck.
func (f *Fleet) AwaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, r := range f.Workers {
		if err := proc.AwaitReady(ctx, r.Name, r.URL); err != nil {
			return err
		}
	}
	return nil
}

// startStorefront starts the storefront with the addresses of all replicas.
func (f *Fleet) startStorefront(ctx context.Context) error {
	at, err := proc.FreeAddr()
	if err != nil {
		return err
	}
	replicas := func(worker string) string {
		var addresses []string
		for _, r := range f.Workers {
			if r.Worker == worker {
				addresses = append(addresses, r.URL)
			}
		}
		return strings.Join(addresses, ",")
	}
	f.Storefront = newService(proc.Command{Name: "storefront", Path: filepath.Join(f.config.Programs, "storefront"),
		Env: append(f.settings.StorefrontEnv(replicas), "HTTP_ADDR="+at)}, f.config.Output)
	if err := f.Storefront.Start(); err != nil {
		return err
	}
	origin := url.URL{Scheme: "http", Host: at}
	f.Shop.Storefront, f.Shop.Ops = origin.String(), origin.String()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := proc.AwaitReady(ctx, "storefront", f.Shop.Storefront); err != nil {
		return err
	}
	return f.Outside.DeliverWebhooksTo(f.Shop.Storefront)
}

// Replace stops a replica, starts it again from the programs of another directory, such as those of another release, and
// returns when it is ready.
func (f *Fleet) Replace(ctx context.Context, r *Replica, programs string) error {
	if err := r.Stop(); err != nil {
		return err
	}
	r.setPath(filepath.Join(programs, r.Worker))
	if err := r.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return proc.AwaitReady(ctx, r.Name, r.URL)
}

// Services returns all processes, the two servers last. One that was not started is nil.
func (f *Fleet) Services() []*Service {
	parts := []*Service{f.Storefront}
	for _, r := range f.Workers {
		parts = append(parts, r.Service)
	}
	return append(parts, f.Broker, f.Database)
}

// Falls returns, by name, how often each process exited by itself. It omits those that never did.
func (f *Fleet) Crashes() map[string]int {
	falls := map[string]int{}
	for _, p := range f.Services() {
		if p != nil && p.Crashes() > 0 {
			falls[p.Name] = p.Crashes()
		}
	}
	return falls
}

// Stop stops the storefront and the workers, then the servers that they need, then the outside. A process that does not stop
// is killed, and Stop returns an error.
func (f *Fleet) Stop() error {
	parts := f.Services()
	servers := len(parts) - 2
	failed := stopAll(parts[:servers])
	failed = errors.Join(failed, stopAll(parts[servers:]))
	if f.Outside != nil {
		failed = errors.Join(failed, f.Outside.Stop())
	}
	return failed
}

func stopAll(parts []*Service) error {
	faileds := make([]error, len(parts))
	var stopped sync.WaitGroup
	for i, p := range parts {
		if p != nil {
			stopped.Go(func() { faileds[i] = p.close() })
		}
	}
	stopped.Wait()
	return errors.Join(faileds...)
}
