package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"tillstream/events"
	"tillstream/events/log"
)

// leases keeps the leases of the lanes of one process.
type leases struct {
	log    *log.Log
	holder string

	mu      sync.Mutex
	holders map[string]string // lane → who has it, as far as is known
	changed chan struct{}     // closed when one of them changes
}

func newLeases(l *log.Log, holder string) *leases {
	return &leases{log: l, holder: holder, holders: map[string]string{}, changed: make(chan struct{})}
}

// watch keeps track of who has which lane until ctx ends.
func (s *leases) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.log.WatchLeases(ctx, func(l log.Lease) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.holders[l.Lane] = l.Holder
			close(s.changed)
			s.changed = make(chan struct{})
		})
		if err != nil && ctx.Err() == nil {
			s.log.Logger().Warn("watch leases", "error", err)
			Sleep(ctx, time.Second)
		}
	}
}

// acquire waits until the lease of a lane is this process's, or ctx ends.
func (s *leases) acquire(ctx context.Context, lane string) (log.Lease, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		lease, ok, err := s.log.Acquire(ctx, lane, s.holder)
		switch {
		case ok:
			return lease, nil
		case ctx.Err() != nil:
			return log.Lease{}, ctx.Err()
		case err != nil:
			s.log.Logger().Warn("acquire lease", "lane", lane, "error", err)
			Sleep(ctx, time.Second)
			continue
		}
		if err := s.free(ctx, lane, changed); err != nil {
			return log.Lease{}, err
		}
	}
}

// free waits until a lane may be free: its lease has changed, or nothing was heard for as long as a lease lasts.
func (s *leases) free(ctx context.Context, lane string, changed <-chan struct{}) error {
	look := time.NewTimer(s.log.LeaseTTL())
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
			return nil
		case <-changed:
		}
		s.mu.Lock()
		holder := s.holders[lane]
		changed = s.changed
		s.mu.Unlock()
		if holder == "" || holder == s.holder {
			return nil
		}
	}
}

// keep renews a lease until ctx ends, or until it turns out to be another process's; then it calls lost. A broker that does
// not answer proves nothing: no other process can take the lease then either.
func (s *leases) keep(ctx context.Context, lease *log.Lease, lost func()) {
	ticker := time.NewTicker(s.log.LeaseTTL() / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		renewing, cancel := context.WithTimeout(ctx, s.log.LeaseTTL()/3)
		err := s.log.Renew(renewing, lease)
		cancel()
		switch {
		case errors.Is(err, log.ErrCheckpointConflict):
			s.log.Logger().Warn("lease lost", "lane", lease.Lane)
			lost()
			return
		case err != nil && ctx.Err() == nil:
			s.log.Logger().Warn("renew lease", "lane", lease.Lane, "error", err)
		}
	}
}

// hold runs a lane for as long as this process has its lease, again and again until ctx ends. run gets a context that ends
// when ctx does or when the lease is lost. The lease is released when run has finished.
func (s *leases) hold(ctx context.Context, lane string, run func(ctx context.Context) error) error {
	for {
		lease, err := s.acquire(ctx, lane)
		if err != nil {
			return nil //nolint:nilerr // ctx has ended
		}
		held, lost := context.WithCancel(ctx)
		keeping, stop := context.WithCancel(context.WithoutCancel(ctx)) // while the lane finishes, too
		var renewing sync.WaitGroup
		renewing.Go(func() { s.keep(keeping, &lease, lost) })
		err = run(held)
		lost()
		stop()
		renewing.Wait()
		releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		if releaseErr := s.log.Release(releasing, lease); releaseErr != nil {
			s.log.Logger().Warn("release lease", "lane", lane, "error", releaseErr)
		}
		cancel()
		if errors.Is(err, events.ErrNewer) && ctx.Err() == nil {
			s.standAside(ctx, lane)
			continue
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // stopped as asked: what broke off while stopping is no failure
		}
	}
}

// standAside waits until ctx ends, or until what this process does not understand was declared void.
func (s *leases) standAside(ctx context.Context, lane string) {
	s.log.Logger().Warn("lane is left to a newer release", "lane", lane)
	for s.log.Newer() != nil && Sleep(ctx, time.Second) {
	}
}
