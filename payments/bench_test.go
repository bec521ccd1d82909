package payments

import (
	"sync"
	"testing"
)

// BenchmarkPurchase is the till's share of a purchase: request, intent, shopper's confirmation, webhook, capture; 64 at
// a time, with the sandbox as Stripe in the same process.
func BenchmarkPurchase(b *testing.B) {
	f := newFixture(b, fixtureOptions{})
	slots := make(chan struct{}, 64)
	var group sync.WaitGroup
	for b.Loop() {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			orderID, p := f.placeOrder(1250)
			f.pay(p, "pm_card_visa")
			f.waitForStatus(orderID, StatusAuthorized)
			f.acceptPayment(orderID, 1250)
			f.waitForStatus(orderID, StatusCaptured)
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "purchases/s")
}
