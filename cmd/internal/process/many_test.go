//go:build unix

package process_test

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// Everybody who was told that the shop has their order gets their goods and one mail, though half of all processes are
// killed while they shop.
func TestOneOfEachIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts ten processes")
	}
	f := startFleet(t)
	f.listItems(t)
	f.shop(t, crowd{window: f.windows[0], names: []string{"first"}})
	f.mailed(t, []string{"first"})
	served := f.shopDuring(t, f.windows[1], func() { f.killFirst(t) })
	f.shop(t, crowd{window: f.windows[1], names: []string{"last"}})
	f.settled(t, f.windows[1], append(served, "first", "last"))
	f.stopAll(t)
}

// A process that stands still for longer than its successor waits, and then goes on with what it had in hand, changes
// nothing: what it appends is refused, and what it does has been done.
func TestOneOfEachIsSuspended(t *testing.T) {
	if testing.Short() {
		t.Skip("starts eleven processes")
	}
	f := startFleet(t)
	f.listItems(t)
	// A load balancer in front of the workers would no longer ask those that do not answer. Here a third storefront
	// knows only of the others.
	window := f.openWindow(t, "storefront 3", 1)
	f.deliverWebhooksTo(t, window)
	served := f.shopDuring(t, window, func() {
		for _, name := range workers {
			proc.Check(t, f.replicas[0][name].Signal(syscall.SIGSTOP))
		}
	})
	f.mailed(t, served) // so the others have taken over in every domain
	for _, name := range workers {
		proc.Check(t, f.replicas[0][name].Signal(syscall.SIGCONT))
		awaitReady(t, name, f.at[0][name])
	}
	f.shop(t, crowd{window: f.windows[0], names: []string{"last"}})
	f.settled(t, f.windows[0], append(served, "last"))
	f.stopAll(t)
}

// shopDuring lets something happen while a crowd is shopping, and returns who was in it. Six have their order and wait
// at the till meanwhile; six more are still on their way in, and the first of them to have an order sets it off.
func (f *shopFleet) shopDuring(t *testing.T, window string, happen func()) (names []string) {
	t.Helper()
	waiting, hurrying := named("waiting", 6), named("hurrying", 6)
	happened := make(chan struct{})
	atTheTill := make(chan struct{}, len(waiting))
	var crowds sync.WaitGroup
	crowds.Go(func() {
		f.shop(t, crowd{window: window, names: waiting, acknowledged: func(string) {
			atTheTill <- struct{}{}
			<-happened
		}})
	})
	for range waiting {
		<-atTheTill
	}
	var once sync.Once
	crowds.Go(func() {
		f.shop(t, crowd{window: window, names: hurrying, acknowledged: func(string) {
			once.Do(func() {
				happen()
				close(happened)
			})
		}})
	})
	crowds.Wait()
	return append(waiting, hurrying...)
}

// settled expects that each of the shoppers has bought once, and that all is well.
func (f *shopFleet) settled(t *testing.T, window string, names []string) {
	t.Helper()
	f.mailed(t, names)
	f.soldTo(t, window, len(names))
	f.verify(t, len(names))
}

// killFirst kills the first replica of everything: those that were active. The load balancer notices.
func (f *shopFleet) killFirst(t *testing.T) {
	t.Helper()
	for _, child := range f.replicas[0] {
		proc.Check(t, child.Kill())
	}
	f.replicas[0] = nil
	f.deliverWebhooksTo(t, f.windows[1])
}

// stopAll asks everything that runs to end, all at once, as a machine does that shuts down.
func (f *shopFleet) stopAll(t *testing.T) {
	t.Helper()
	for _, replicas := range f.replicas {
		for _, child := range replicas {
			proc.Check(t, child.Signal(syscall.SIGTERM))
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for _, replicas := range f.replicas {
		for _, child := range replicas {
			proc.Check(t, child.Wait(time.Until(deadline)))
		}
	}
}
