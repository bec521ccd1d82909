//go:build unix

package process_test

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// Half of all processes are killed while shoppers buy. Every acknowledged order is confirmed once, with one e-mail.
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

// A process is suspended until others have taken over its leases, and then continues. Its appends are refused, and its calls to
// the outside are repetitions without effect.
func TestOneOfEachIsSuspended(t *testing.T) {
	if testing.Short() {
		t.Skip("starts eleven processes")
	}
	f := startFleet(t)
	f.listItems(t)
	// A load balancer would send no requests to replicas that do not answer. Here a third storefront has only the others.
	window := f.openWindow(t, "storefront 3", 1)
	f.deliverWebhooksTo(t, window)
	served := f.shopDuring(t, window, func() {
		for _, name := range workers {
			proc.Check(t, f.replicas[0][name].Signal(syscall.SIGSTOP))
		}
	})
	f.mailed(t, served) // then the others have taken over in every domain
	for _, name := range workers {
		proc.Check(t, f.replicas[0][name].Signal(syscall.SIGCONT))
		awaitReady(t, name, f.at[0][name])
	}
	f.shop(t, crowd{window: f.windows[0], names: []string{"last"}})
	f.settled(t, f.windows[0], append(served, "last"))
	f.stopAll(t)
}

// shopDuring runs happen while shoppers buy, and returns their names. Six shoppers have placed orders and do not pay before
// happen has returned. Six more place orders, and the first of these runs happen.
func (f *shopFleet) shopDuring(t *testing.T, window string, happen func()) (names []string) {
	t.Helper()
	waiting, hurrying := named("waiting", 6), named("hurrying", 6)
	happened := make(chan struct{})
	waiters := make(chan struct{}, len(waiting))
	var crowds sync.WaitGroup
	crowds.Go(func() {
		f.shop(t, crowd{window: window, names: waiting, acknowledged: func(string) {
			waiters <- struct{}{}
			<-happened
		}})
	})
	for range waiting {
		<-waiters
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

// settled checks that each shopper has bought once, and that all invariants hold.
func (f *shopFleet) settled(t *testing.T, window string, names []string) {
	t.Helper()
	f.mailed(t, names)
	f.soldTo(t, window, len(names))
	f.verify(t, len(names))
}

// killFirst kills the first replica of every program, which is the active one, and has the load balancer use the second.
func (f *shopFleet) killFirst(t *testing.T) {
	t.Helper()
	for _, child := range f.replicas[0] {
		proc.Check(t, child.Kill())
	}
	f.replicas[0] = nil
	f.deliverWebhooksTo(t, f.windows[1])
}

// stopAll stops all processes at once, as a machine does that shuts down.
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
