package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"tillstream/cmd/internal/proof/fleet"
)

// ErrUnknownTarget is returned for a fault whose target the shop does not have.
var ErrUnknownTarget = errors.New("unknown target of a fault")

// Injector injects faults into one shop.
type Injector struct {
	proxies *proxies
	outside *outside

	mu     sync.Mutex
	counts map[string]int // by kind
}

// NewInjector returns an Injector. The shop must be started with its Proxy.
func NewInjector() *Injector {
	return &Injector{proxies: newProxies(), outside: &outside{}, counts: map[string]int{}}
}

// Proxy starts a proxy between a process and a server, for [fleet.Config].
func (i *Injector) Proxy(process, server, addr string) (proxy string, err error) {
	return i.proxies.start(process, server, addr)
}

// Close stops the proxies. The processes of the shop must have stopped.
func (i *Injector) Close() { i.proxies.stop() }

// Counts returns how many faults of each kind have been injected so far.
func (i *Injector) Counts() map[string]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.counts)
}

// Run injects the faults of a plan, and calls started for each as it begins, never concurrently. It returns when all faults
// have ended, which is at once when ctx ends. An error means that a fault could not be injected or undone; it is no
// failure of the shop.
func (i *Injector) Run(ctx context.Context, shop *fleet.Fleet, plan []Fault, started func(Fault)) error {
	errs := make([]error, len(plan))
	var running sync.WaitGroup
	begun := time.Now()
	for at, fault := range plan {
		wait(ctx, time.Until(begun.Add(fault.At)))
		if ctx.Err() != nil {
			break
		}
		running.Go(func() { errs[at] = i.inject(ctx, shop, fault, started) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// inject begins a fault, waits for its duration and undoes it. A process that has crashed and waits for its restart cannot be
// suspended or stopped: that is neither a fault nor an error.
func (i *Injector) inject(ctx context.Context, shop *fleet.Fleet, f Fault, started func(Fault)) error {
	undo, err := i.begin(shop, f)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	} else if err == nil {
		i.mu.Lock()
		started(f)
		i.counts[string(f.Kind)]++
		i.mu.Unlock()
		wait(ctx, f.For)
	}
	if undo != nil {
		if undone := undo(); !errors.Is(undone, os.ErrProcessDone) {
			err = errors.Join(err, undone)
		}
	}
	if err != nil {
		return fmt.Errorf("inject %s into %s: %w", f.Kind, f.Target, err)
	}
	return nil
}

func (i *Injector) begin(shop *fleet.Fleet, f Fault) (undo func() error, err error) {
	switch f.Kind {
	case WorkerKilled, WorkerStopped, WorkerSuspended, BrokerKilled, DatabaseKilled:
		service, err := find(shop, f.Target)
		if err != nil {
			return nil, err
		}
		switch f.Kind {
		case WorkerSuspended:
			return service.Resume, service.Suspend()
		case WorkerStopped:
			return service.Start, service.Stop()
		}
		return service.Start, service.Kill()
	case ConnectionReset, ConnectionSlow, ConnectionNarrow, ConnectionSilent, ConnectionReplies:
		return i.proxies.begin(f)
	}
	return i.outside.begin(f, shop.Outside)
}

func find(shop *fleet.Fleet, name string) (*fleet.Service, error) {
	for _, service := range shop.Services() {
		if service != nil && service.Name == name {
			return service, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownTarget, name)
}

// wait waits for a duration, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
