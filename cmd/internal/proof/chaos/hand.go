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

// ErrUnknownVictim is returned for a fault of somebody that the shop does not have.
var ErrUnknownVictim = errors.New("nobody of that name")

// Hand inflicts faults.
type Hand struct {
	wires   *wires
	outside *outside

	mu    sync.Mutex
	count map[string]int
}

// NewHand makes one for one shop.
func NewHand() *Hand {
	return &Hand{wires: newWires(), outside: newOutside(), count: map[string]int{}}
}

// Between is how the processes of the shop must be connected.
func (h *Hand) Between(process, server, addr string) (instead string, err error) {
	return h.wires.lay(process, server, addr)
}

// Outside is what Stripe and the mail server must be started with.
func (h *Hand) Outside() fleet.OutsideConfig { return h.outside.config() }

// Release takes what stands between the processes away. They must have ended.
func (h *Hand) Release() { h.wires.cut() }

// Counts says how many faults of each kind have been inflicted so far.
func (h *Hand) Counts() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.count)
}

// Run goes through a plan and tells of every fault as it begins, of one at a time. It returns when all are over and undone;
// when ctx ends that is at once. An error means that something could not be done or undone, which says nothing about the
// shop.
func (h *Hand) Run(ctx context.Context, shop *fleet.Fleet, plan []Fault, told func(Fault)) error {
	problems := make([]error, len(plan))
	var going sync.WaitGroup
	begun := time.Now()
	for i, fault := range plan {
		wait(ctx, time.Until(begun.Add(fault.At)))
		if ctx.Err() != nil {
			break
		}
		going.Go(func() { problems[i] = h.inflict(ctx, shop, fault, told) })
	}
	going.Wait()
	return errors.Join(problems...)
}

// inflict does one thing, waits and undoes it. A process that is gone anyway, for its supervisor to start again, cannot
// be suspended or asked to end: that is no fault then, and no error.
func (h *Hand) inflict(ctx context.Context, shop *fleet.Fleet, f Fault, told func(Fault)) error {
	mend, err := h.begin(shop, f)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	} else if err == nil {
		h.mu.Lock()
		told(f)
		h.count[string(f.Kind)]++
		h.mu.Unlock()
		wait(ctx, f.For)
	}
	if mend != nil {
		if undone := mend(); !errors.Is(undone, os.ErrProcessDone) {
			err = errors.Join(err, undone)
		}
	}
	if err != nil {
		return fmt.Errorf("inflict %s on %s: %w", f.Kind, f.Victim, err)
	}
	return nil
}

func (h *Hand) begin(shop *fleet.Fleet, f Fault) (mend func() error, err error) {
	switch f.Kind {
	case WorkerKilled, WorkerStopped, WorkerSuspended, BrokerKilled, DatabaseKilled:
		part, err := find(shop, f.Victim)
		if err != nil {
			return nil, err
		}
		switch f.Kind {
		case WorkerSuspended:
			return part.Resume, part.Suspend()
		case WorkerStopped:
			return part.Start, part.Stop()
		}
		return part.Start, part.Kill()
	case ConnectionReset, ConnectionSlow, ConnectionNarrow, ConnectionSilent, ConnectionReplies:
		return h.wires.spoil(f)
	}
	return h.outside.spoil(f, shop.Outside.Inbox), nil
}

func find(shop *fleet.Fleet, name string) (*fleet.Service, error) {
	for _, part := range shop.Services() {
		if part != nil && part.Name == name {
			return part, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownVictim, name)
}
