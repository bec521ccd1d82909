package loadgen_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
)

func TestRunBuysEveryBasketOnce(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(t)
	baskets, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 50, Lines: 1, Seed: 7}, []loadgen.Item{{SKU: "MUG"}})
	if err != nil {
		t.Fatal(err)
	}
	var tally loadgen.Tally
	var keys []string
	run := loadgen.Run{Baskets: baskets, Buy: shop.buyer(t, false).Buy, Concurrency: 4,
		Observers: []func(loadgen.Purchase){tally.Observe, func(p loadgen.Purchase) { keys = append(keys, p.Basket.Key) }}}
	run.Do(t.Context(), nil)
	if ended, confirmed, _ := tally.Counts(); ended != 50 || confirmed != 50 || shop.placed() != 50 || len(keys) != 50 || run.InFlight() != 0 {
		t.Errorf("got %d ended, %d confirmed, %d placed, %d observed and %d in flight, want 50 each and 0 in flight", ended, confirmed, shop.placed(), len(keys), run.InFlight())
	}
}

// After the stop no purchase begins, and running purchases finish.
func TestStopFinishesRunningPurchases(t *testing.T) {
	t.Parallel()
	baskets, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 1000, Lines: 1}, []loadgen.Item{{SKU: "MUG"}})
	if err != nil {
		t.Fatal(err)
	}
	begun, finish, stop := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	var tally loadgen.Tally
	run := loadgen.Run{Baskets: baskets, Concurrency: 2, Observers: []func(loadgen.Purchase){tally.Observe},
		Buy: func(context.Context, loadgen.Basket) loadgen.Purchase {
			begun <- struct{}{}
			<-finish
			return loadgen.Purchase{PlacedIn: 1, ConfirmedIn: 1}
		}}
	done := make(chan struct{})
	go func() { defer close(done); run.Do(t.Context(), stop) }()
	<-begun
	<-begun
	close(stop)
	close(finish)
	<-done
	if ended, confirmed, _ := tally.Counts(); ended != 2 || confirmed != 2 {
		t.Errorf("got %d ended and %d confirmed, want the 2 that had begun", ended, confirmed)
	}
}

func TestRateSpacesPurchasesEvenly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		baskets, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 5, Lines: 1}, []loadgen.Item{{SKU: "MUG"}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var mu sync.Mutex
		var begun []time.Duration
		run := loadgen.Run{Baskets: baskets, Concurrency: 3, Rate: 4, Buy: func(context.Context, loadgen.Basket) loadgen.Purchase {
			mu.Lock()
			begun = append(begun, time.Since(start))
			mu.Unlock()
			return loadgen.Purchase{PlacedIn: 1, ConfirmedIn: 1}
		}}
		run.Do(t.Context(), nil)
		want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond, time.Second}
		if diff := cmp.Diff(want, begun); diff != "" {
			t.Errorf("purchases begun (-want +got):\n%s", diff)
		}
	})
}
