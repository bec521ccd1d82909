package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

// leases keeps the leases of the lanes of one process.
type leases struct {
	log    *eventlog.Log
	holder string

	mu      sync.Mutex
	holders map[string]string // lane → holder, as far as this process has read
	changed chan struct{}     // closed when a holder changes
}

func newLeases(l *eventlog.Log, holder string) *leases {
	return &leases{log: l, holder: holder, holders: map[string]string{}, changed: make(chan struct{})}
}

// watch follows the holders of all lanes until ctx ends.
func (s *leases) watch(ctx context.Context) {
	follow := func() error {
		return s.log.WatchLeases(ctx, func(l eventlog.Lease) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.holders[l.Lane] = l.Holder
			close(s.changed)
			s.changed = make(chan struct{})
		})
	}
	retry(ctx, everySecond(), follow, func(err error) { s.log.Logger().Warn("leases not followed", "error", err) })
}

// acquire waits until this process has the lease of a lane, or ctx ends.
func (s *leases) acquire(ctx context.Context, lane string) (eventlog.Lease, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		lease, ok, err := s.log.Acquire(ctx, lane, s.holder)
		switch {
		case ok:
			return lease, nil
		case ctx.Err() != nil:
			return eventlog.Lease{}, ctx.Err()
		case err != nil:
			s.log.Logger().Warn("lease not acquired", "lane", lane, "error", err)
			Sleep(ctx, time.Second)
			continue
		}
		if err := s.awaitFree(ctx, lane, changed); err != nil {
			return eventlog.Lease{}, err
		}
	}
}

// awaitFree waits until the lease of a lane may be free: it has no other holder, or did not change for as long as a lease
// lasts.
func (s *leases) awaitFree(ctx context.Context, lane string, changed <-chan struct{}) error {
	timeout := time.NewTimer(s.log.LeaseTTL())
	defer timeout.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout.C:
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

// renew renews a lease until ctx ends, or until another process has it; then it calls lost. A broker that does not answer
// is no reason to stop the lane: no other process can acquire the lease from it either.
func (s *leases) renew(ctx context.Context, lease *eventlog.Lease, lost func()) {
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
		case errors.Is(err, eventlog.ErrCheckpointConflict):
			s.log.Logger().Warn("lease lost", "lane", lease.Lane)
			lost()
			return
		case err != nil && ctx.Err() == nil:
			s.log.Logger().Warn("lease not renewed", "lane", lease.Lane, "error", err)
		}
	}
}

// run runs a lane whenever this process has its lease, until ctx ends. The context of run ends when ctx does or when the
// lease is lost. The lease is released when run has returned.
func (s *leases) run(ctx context.Context, lane string, run func(ctx context.Context) error) error {
	for {
		lease, err := s.acquire(ctx, lane)
		if err != nil {
			return nil //nolint:nilerr // ctx has ended
		}
		leased, lost := context.WithCancel(ctx)
		renewing, stopRenewing := context.WithCancel(context.WithoutCancel(ctx)) // also while the lane finishes
		var renewal sync.WaitGroup
		renewal.Go(func() { s.renew(renewing, &lease, lost) })
		err = run(leased)
		lost()
		stopRenewing()
		renewal.Wait()
		releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		if releaseErr := s.log.Release(releasing, lease); releaseErr != nil {
			s.log.Logger().Warn("lease not released", "lane", lane, "error", releaseErr)
		}
		cancel()
		if errors.Is(err, events.ErrNewer) && ctx.Err() == nil {
			s.standBy(ctx, lane)
			continue
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // an error while the process stops is not a failure
		}
	}
}

// standBy waits until ctx ends, or until the event that this release cannot read is declared void.
func (s *leases) standBy(ctx context.Context, lane string) {
	s.log.Logger().Warn("lane left to a newer release", "lane", lane)
	for s.log.Newer() != nil && Sleep(ctx, time.Second) {
	}
}
