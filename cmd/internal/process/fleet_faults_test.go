//go:build unix

package process_test

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// The first replica of every program is killed while shoppers buy. Every acknowledged order is confirmed once, with one e-mail.
func TestOneOfEachIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts ten processes")
	}
	f := startFleet(t)
	f.listItems(t)
	f.buy(t, crowd{storefront: f.storefronts[0], names: []string{"first"}})
	f.checkMails(t, []string{"first"})
	served := f.buyDuring(t, f.storefronts[1], func() { f.killFirst(t) })
	f.buy(t, crowd{storefront: f.storefronts[1], names: []string{"last"}})
	f.checkPurchases(t, append(served, "first", "last"))
	f.stopAll(t)
}

// The first replica of every worker is suspended until the second has taken over its leases, and then resumed. Its appends are
// refused, and its repeated calls to Stripe and the mail server have no effect.
func TestOneOfEachIsSuspended(t *testing.T) {
	if testing.Short() {
		t.Skip("starts eleven processes")
	}
	f := startFleet(t)
	f.listItems(t)
	// A load balancer would send no requests to replicas that do not answer. Here a third storefront has only the addresses of
	// the others.
	storefront := f.startStorefront(t, "storefront 3", 1)
	f.deliverWebhooksTo(t, storefront)
	served := f.buyDuring(t, storefront, func() {
		for _, name := range workers {
			proc.Check(t, f.replicas[0][name].Signal(syscall.SIGSTOP))
		}
	})
	f.checkMails(t, served) // the others have now taken over in every domain
	for _, name := range workers {
		proc.Check(t, f.replicas[0][name].Signal(syscall.SIGCONT))
		awaitReady(t, name, f.at[0][name])
	}
	f.buy(t, crowd{storefront: f.storefronts[0], names: []string{"last"}})
	f.checkPurchases(t, append(served, "last"))
	f.stopAll(t)
}

// buyDuring calls fault while shoppers buy, and returns the shoppers' names. Six shoppers place orders and pay only after fault
// has returned. Six more place orders, and fault is called when the first of these orders is acknowledged.
func (f *shopFleet) buyDuring(t *testing.T, storefront string, fault func()) (names []string) {
	t.Helper()
	waiting, hurrying := shopperNames("waiting", 6), shopperNames("hurrying", 6)
	over := make(chan struct{})
	waiters := make(chan struct{}, len(waiting))
	var crowds sync.WaitGroup
	crowds.Go(func() {
		f.buy(t, crowd{storefront: storefront, names: waiting, acknowledged: func(string) {
			waiters <- struct{}{}
			<-over
		}})
	})
	for range waiting {
		<-waiters
	}
	var once sync.Once
	crowds.Go(func() {
		f.buy(t, crowd{storefront: storefront, names: hurrying, acknowledged: func(string) {
			once.Do(func() {
				fault()
				close(over)
			})
		}})
	})
	crowds.Wait()
	return append(waiting, hurrying...)
}

// checkPurchases checks that each shopper has bought once, and that all invariants hold.
func (f *shopFleet) checkPurchases(t *testing.T, names []string) {
	t.Helper()
	f.checkMails(t, names)
	f.checkStock(t, len(names))
	f.verify(t, len(names))
}

// killFirst kills the first replica of every program, which is the active one, and has the load balancer use the second.
func (f *shopFleet) killFirst(t *testing.T) {
	t.Helper()
	for _, child := range f.replicas[0] {
		proc.Check(t, child.Kill())
	}
	f.replicas[0] = nil
	f.deliverWebhooksTo(t, f.storefronts[1])
}

// stopAll stops all processes at once, as the shutdown of a machine does.
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
