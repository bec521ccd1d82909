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

// TestTheShopClosesForTheNight: what was promised yesterday holds today, though every address may be another one.
func TestTheShopClosesForTheNight(t *testing.T) {
	t.Parallel()
	config := testConfig(t, nil)
	m := openShop(t, config)
	m.list(t, "MUG", 1250, 10)
	bought := m.buy(t, cart("ada", line{"MUG", 1}))
	yesterday := m.mailed(t, bought.Email, 1)
	waiting := m.place(t, cart("bob", line{"MUG", 2}))
	m.checkout(t, waiting)
	m.stockBecomes(t, "MUG", level{9, 7, 2})
	m.close(t)

	m = openShop(t, config)
	if got := m.read(t, bought); got.Status != "confirmed" {
		t.Errorf("the order of yesterday is %s", got.Status)
	}
	if diff := cmp.Diff(yesterday, m.mailed(t, bought.Email, 1)); diff != "" {
		t.Errorf("mails (-yesterday +today):\n%s", diff)
	}
	if got := m.stock(t, "MUG"); got != (level{9, 7, 2}) {
		t.Errorf("the stock is %+v", got)
	}
	m.settle(t, waiting)
	m.charged(t, waiting)
	m.mailed(t, waiting.Email, 1)
	m.stockBecomes(t, "MUG", level{7, 7, 0})
	m.verify(t, bought.ID, waiting.ID)
}

// TestTheShopClosesAtRushHour: it stops within its time though shoppers keep coming, and no order that was answered is lost.
func TestTheShopClosesAtRushHour(t *testing.T) {
	t.Parallel()
	const shoppers, enough = 8, 40
	config := testConfig(t, nil)
	m := openShop(t, config)
	m.list(t, "MUG", 1250, 100_000)
	r := rush{enough: make(chan struct{}), want: enough}
	ctx, goHome := context.WithCancel(t.Context())
	defer goHome()
	var crowd sync.WaitGroup
	for i := range shoppers {
		crowd.Go(func() { r.shop(ctx, m, i) })
	}
	select {
	case <-r.enough:
	case <-time.After(patience):
		t.Fatalf("only %d orders were taken in %s", len(r.acknowledged()), patience)
	}
	started := time.Now()
	m.close(t) // fails when it takes longer than it may
	t.Logf("closed in %s", time.Since(started).Round(time.Millisecond))
	goHome()
	crowd.Wait()

	m = openShop(t, config)
	m.buy(t, cart("late", line{"MUG", 1}))
	m.verify(t, r.acknowledged()...)
}

// rush is a crowd of shoppers, and the orders that were answered 201 to them.
type rush struct {
	enough chan struct{} // closed when so many orders as wanted were taken
	want   int

	mu  sync.Mutex
	ids []string
}

func (r *rush) acknowledged() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ids...)
}

func (r *rush) took(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids = append(r.ids, id); len(r.ids) == r.want {
		close(r.enough)
	}
	return nil
}

// shop buys one thing after another until there is nothing to be had or it is time to go home. That purchases fail when
// the shop closes is no news; what counts is what was promised.
func (r *rush) shop(ctx context.Context, m *testShop, shopper int) {
	shop := loadgen.NewShop(loadgen.Addresses{Storefront: m.Storefront, Stripe: m.Stripe, PublishableKey: m.StripePublishableKey}, 1, false)
	buyer := loadgen.Buyer{Shop: shop, Timeout: patience, Acknowledged: r.took}
	for n := 0; ctx.Err() == nil; n++ {
		who := fmt.Sprintf("shopper-%d-%d", shopper, n)
		done := buyer.Buy(ctx, loadgen.Basket{Key: who, Email: who + "@example.com", Name: who, Locale: "en", Country: "GB",
			Lines: []loadgen.Line{{SKU: "MUG", Quantity: 1}}})
		if errors.Is(done.Err, context.Canceled) {
			return
		}
	}
}
