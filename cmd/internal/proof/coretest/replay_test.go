package coretest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/coretest"
	"tillstream/orders"
)

// shopWithHistory opens a shop whose n orders are final: confirmed, out of stock, cancelled or expired.
func shopWithHistory(t *testing.T, n int, separate bool) *coretest.Shop {
	t.Helper()
	return withHistory(t, n, coretest.Config{Separate: separate})
}

func withHistory(t *testing.T, n int, config coretest.Config) *coretest.Shop {
	t.Helper()
	c := &clock{}
	config.Now = c.now
	shop := coretest.Open(t, config)
	shop.Stock(t, "LAMP", int64(n-n/10))
	stop := shop.Run(t)
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("o%d", i))
	}
	place(t, shop, ids...)
	shop.Settle(t)
	for i, id := range ids {
		if shop.Order(t, id).Status != orders.AwaitingPayment {
			continue
		}
		var err error
		switch i % 5 {
		case 0, 1, 2:
			err = shop.Stripe.Pay(t.Context(), id)
		case 3:
			err = shop.Cancel(t.Context(), id)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	shop.Settle(t)
	c.forward(pastDeadline)
	shop.CheckDeadlines(t, ids...)
	shop.Settle(t)
	shop.Verify(t, ids...)
	stop()
	return shop
}

// deleteCheckpoints makes the lanes that run next read the log from the beginning.
func deleteCheckpoints(t *testing.T, shop *coretest.Shop) {
	t.Helper()
	bucket, err := shop.Log.JetStream().KeyValue(t.Context(), "checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	lanes, err := bucket.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, lane := range lanes {
		if err := bucket.Purge(t.Context(), lane); err != nil {
			t.Fatal(err)
		}
	}
}

// sizes returns the number of events and of dead letters.
func sizes(t *testing.T, shop *coretest.Shop) [2]int {
	t.Helper()
	return [2]int{int(shop.EventCount(t)), len(shop.DeadLetters(t))}
}

// modes are how domains run: in one process, which decides a whole cascade at once, or in separate processes.
var modes = map[string]bool{"OneProcess": false, "SeparateProcesses": true}

// Row 21 of the fault matrix: all lanes read the whole log again, without checkpoints. They append nothing.
func TestReplayOfWholeLogAppendsNothing(t *testing.T) {
	t.Parallel()
	for name, separate := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := shopWithHistory(t, 60, separate)
			before := sizes(t, shop)
			deleteCheckpoints(t, shop)
			if separate {
				for _, name := range coretest.Domains {
					shop.Replica(t, name).Run(t)
				}
			} else {
				shop.Replica(t, coretest.Domains...).Run(t)
			}
			shop.Settle(t)
			if diff := cmp.Diff(before, sizes(t, shop)); diff != "" {
				t.Errorf("events and dead letters (-before +after):\n%s", diff)
			}
			shop.Verify(t)
		})
	}
}

// Row 22 of the fault matrix: domains read events late and out of step with each other. Each reads the whole log again alone, in
// every order of two domains. They append nothing.
func TestDomainsReadEventsInAnyOrder(t *testing.T) {
	t.Parallel()
	shop := shopWithHistory(t, 20, true)
	before := sizes(t, shop)
	for _, first := range coretest.Domains {
		deleteCheckpoints(t, shop)
		for _, second := range coretest.Domains {
			for _, name := range []string{first, second} {
				stop := shop.Replica(t, name).Run(t)
				shop.Settle(t)
				stop()
			}
		}
	}
	if diff := cmp.Diff(before, sizes(t, shop)); diff != "" {
		t.Errorf("events and dead letters (-before +after):\n%s", diff)
	}
}
