package fleet

import (
	"context"
	"fmt"
	"path/filepath"

	"tillstream/cmd/internal/proof/proc"
)

// Replicas is the number of processes of each worker: one holds the leases, one stands by.
const Replicas = 2

// ReplicaName returns the name of a worker's replica n, counted from 0.
func ReplicaName(worker string, n int) string { return fmt.Sprintf("%s %d", worker, n+1) }

// Replica is one process of a worker.
type Replica struct {
	*Service
	Worker string
	URL    string
}

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

// Replace stops a replica, starts it again from the programs of another directory, such as those of another release, and
// returns when it is ready.
func (f *Fleet) Replace(ctx context.Context, r *Replica, programs string) error {
	return f.replace(ctx, r, programs, proc.AwaitReady)
}

// Deploy is like [Fleet.Replace], but returns as soon as the replica serves, as an orchestrator goes on: it may be degraded, such as
// by dead letters.
func (f *Fleet) Deploy(ctx context.Context, r *Replica, programs string) error {
	return f.replace(ctx, r, programs, proc.AwaitServing)
}

func (f *Fleet) replace(ctx context.Context, r *Replica, programs string, await func(ctx context.Context, name, url string) error) error {
	if err := r.Stop(); err != nil {
		return err
	}
	r.setPath(filepath.Join(programs, r.Worker))
	if err := r.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return await(ctx, r.Name, r.URL)
}
