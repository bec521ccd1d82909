package fleet

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
)

// A process may take 90 seconds to become ready, because ten processes start on two busy cores. It may take 30 seconds to
// stop, which is what the shop promises.
const (
	startTimeout = 90 * time.Second
	stopTimeout  = 30 * time.Second
)

// ProxyFunc returns the address at which a process reaches a server: addr, the server's own, or that of a proxy. server is
// "broker" or "database".
type ProxyFunc func(process, server, addr string) (proxy string, err error)

// Config describes a fleet.
type Config struct {
	Proxy    ProxyFunc               // default: no proxies
	Dir      string                  // for data
	Output   func(name, line string) // receives the output of every process; default: it is discarded
	MongoURI string                  // of an existing database; default: the fleet starts one
	Outside  OutsideConfig
	Programs string // directory of executables, see [Packages]

	// SweepEvery is the interval of the periodic jobs that look for overdue orders and reconcile payments with Stripe;
	// default 2 s, so that the shop recovers soon after a fault.
	SweepEvery time.Duration
}

// Fleet is a running shop.
type Fleet struct {
	Broker     *Service
	Database   *Service // nil if Config.MongoURI is set
	Outside    *Outside
	Workers    []*Replica
	Storefront *Service
	Console    *Service
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
	for _, step := range []func(context.Context) error{f.startOutside, f.startServers, f.startWorkers, f.keepKey, f.startStorefront, f.startConsole} {
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
		StripePublishableKey: f.settings.Keys.Publishable, OpsKey: f.settings.OpsKey, MongoDB: f.config.MongoURI}
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

// keepKey makes the API key of the fleet known to every worker.
func (f *Fleet) keepKey(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := KeepKey(ctx, f.Shop)
	for _, r := range f.Workers {
		if err == nil {
			err = AwaitKey(ctx, r.Worker, r.URL, f.Shop.OpsKey)
		}
	}
	return err
}

func mongoURI(addr string) string { return "mongodb://" + addr + "/tillstream" }

// startStorefront starts the storefront with the addresses of all replicas.
func (f *Fleet) startStorefront(ctx context.Context) (err error) {
	if f.Storefront, f.Shop.Storefront, err = f.serve(ctx, "storefront", f.settings.StorefrontEnv(f.replicas)); err != nil {
		return err
	}
	return f.Outside.DeliverWebhooksTo(f.Shop.Storefront)
}

// startConsole starts the staff console. It reaches broker and database without proxies.
func (f *Fleet) startConsole(ctx context.Context) (err error) {
	f.Console, f.Shop.Ops, err = f.serve(ctx, "console", f.settings.ConsoleEnv(f.Shop.NATS, f.Shop.MongoDB, f.replicas))
	f.Shop.Console = f.Shop.Ops + "/ops"
	return err
}

// serve starts a program on a free address, and returns it and its origin when it is ready.
func (f *Fleet) serve(ctx context.Context, program string, env []string) (service *Service, origin string, err error) {
	at, err := proc.FreeAddr()
	if err != nil {
		return nil, "", err
	}
	service = newService(proc.Command{Name: program, Path: filepath.Join(f.config.Programs, program), Env: append(env, "HTTP_ADDR="+at)}, f.config.Output)
	if err := service.Start(); err != nil {
		return service, "", err
	}
	at = (&url.URL{Scheme: "http", Host: at}).String()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return service, at, proc.AwaitReady(ctx, program, at)
}

// replicas returns the URLs of a worker's replicas, separated by commas.
func (f *Fleet) replicas(worker string) string {
	var addresses []string
	for _, r := range f.Workers {
		if r.Worker == worker {
			addresses = append(addresses, r.URL)
		}
	}
	return strings.Join(addresses, ",")
}

// Services returns all processes, the two servers last. One that was not started is nil.
func (f *Fleet) Services() []*Service {
	services := []*Service{f.Storefront, f.Console}
	for _, r := range f.Workers {
		services = append(services, r.Service)
	}
	return append(services, f.Broker, f.Database)
}

// Crashes returns, by name, how often each process exited by itself. It omits those that never did.
func (f *Fleet) Crashes() map[string]int {
	crashes := map[string]int{}
	for _, s := range f.Services() {
		if s != nil && s.Crashes() > 0 {
			crashes[s.Name] = s.Crashes()
		}
	}
	return crashes
}

// Stop stops the storefront, the console and the workers, then the broker and the database, then the external services. A process that does
// not stop is killed, and Stop returns an error.
func (f *Fleet) Stop() error {
	services := f.Services()
	servers := len(services) - 2
	err := stopAll(services[:servers])
	err = errors.Join(err, stopAll(services[servers:]))
	if f.Outside != nil {
		err = errors.Join(err, f.Outside.Stop())
	}
	return err
}

func stopAll(services []*Service) error {
	errs := make([]error, len(services))
	var stopping sync.WaitGroup
	for i, s := range services {
		if s != nil {
			stopping.Go(func() { errs[i] = s.close() })
		}
	}
	stopping.Wait()
	return errors.Join(errs...)
}
