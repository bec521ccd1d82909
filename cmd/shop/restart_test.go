package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
)

// Orders, stock and e-mails are the same after a restart, even if every address changes.
func TestRestartKeepsOrdersStockAndMails(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	ts := openShop(t, config)
	ts.list(t, "MUG", 1250, 10)
	bought := ts.buy(t, cart("ada", line{"MUG", 1}))
	before := ts.mailed(t, bought.Email, 1)
	waiting := ts.place(t, cart("bob", line{"MUG", 2}))
	ts.checkout(t, waiting)
	ts.stockBecomes(t, "MUG", level{9, 7, 2})
	ts.close(t)

	ts = openShop(t, config)
	if got := ts.read(t, bought); got.Status != "confirmed" {
		t.Errorf("order status after the restart = %q, want confirmed", got.Status)
	}
	if diff := cmp.Diff(before, ts.mailed(t, bought.Email, 1)); diff != "" {
		t.Errorf("e-mails (-before +after):\n%s", diff)
	}
	if got := ts.stock(t, "MUG"); got != (level{9, 7, 2}) {
		t.Errorf("stock after the restart = %+v, want it unchanged", got)
	}
	ts.settle(t, waiting)
	ts.charged(t, waiting)
	ts.mailed(t, waiting.Email, 1)
	ts.stockBecomes(t, "MUG", level{7, 7, 0})
	ts.verify(t, bought.ID, waiting.ID)
}

// Under load the shop stops in time, and no acknowledged order is lost.
func TestStopUnderLoadLosesNoOrder(t *testing.T) {
	t.Parallel()
	const shoppers, enough = 8, 40
	config := testConfig(t, nil)
	ts := openShop(t, config)
	ts.list(t, "MUG", 1250, 100_000)
	r := rush{enough: make(chan struct{}), want: enough}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var crowd sync.WaitGroup
	for i := range shoppers {
		crowd.Go(func() { r.shop(ctx, ts, i) })
	}
	select {
	case <-r.enough:
	case <-time.After(patience):
		t.Fatalf("%d orders in %s, want %d", len(r.acknowledged()), patience, enough)
	}
	started := time.Now()
	ts.close(t) // fails if it takes too long
	t.Logf("stopped in %s", time.Since(started).Round(time.Millisecond))
	stop()
	crowd.Wait()

	ts = openShop(t, config)
	ts.buy(t, cart("late", line{"MUG", 1}))
	ts.verify(t, r.acknowledged()...)
}

// rush is a number of concurrent shoppers, and their orders that were answered with 201.
type rush struct {
	enough chan struct{} // closed after the wanted number of orders
	want   int

	mu  sync.Mutex
	ids []string
}

func (r *rush) acknowledged() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ids...)
}

func (r *rush) add(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids = append(r.ids, id); len(r.ids) == r.want {
		close(r.enough)
	}
	return nil
}

// shop buys one item after another until ctx ends. Purchases may fail when the shop stops; only acknowledged orders count.
func (r *rush) shop(ctx context.Context, ts *testShop, shopper int) {
	shop := loadgen.NewShop(loadgen.Addresses{Storefront: ts.Storefront, Stripe: ts.Stripe, PublishableKey: ts.StripePublishableKey}, 1, false)
	buyer := loadgen.Buyer{Shop: shop, Timeout: patience, Acknowledged: r.add}
	for n := 0; ctx.Err() == nil; n++ {
		who := fmt.Sprintf("shopper-%d-%d", shopper, n)
		done := buyer.Buy(ctx, loadgen.Basket{Key: "the-key-of-" + who, Email: who + "@example.com", Name: who, Locale: "en", Country: "GB",
			Lines: []loadgen.Line{{SKU: "MUG", Quantity: 1}}})
		if errors.Is(done.Err, context.Canceled) {
			return
		}
	}
}
