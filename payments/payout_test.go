package payments

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"tillstream/events"
)

// asStaff sends a GET request of the staff API.
func (f *fixture) asStaff(path string, into any) (status int) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.shopURL+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer staff")
	return f.do(request, into)
}

// What Stripe books and pays out is read from it: the fees of every payment, and payouts that add up to the cent, with the order of each
// of the shop's payments and a charge of another program.
func TestPayoutsAddUpAtStripe(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	first, body := f.buy(1250)
	second, _ := f.buy(4900)
	f.callStripe("refunds", url.Values{"payment_intent": {body.PaymentIntent}, "amount": {"250"}})
	f.waitForStatus(first, StatusPartlyRefunded)
	f.callStripe("payment_intents", url.Values{"amount": {"2000"}, "currency": {"gbp"}, "payment_method": {"pm_card_visa"}, "confirm": {"true"},
		"payment_method_types[]": {"card"}, "return_url": {"https://other.example"}})
	for range 2 {
		if err := f.service.reconcileBalance(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	gbp := func(n int64) events.Money { return events.Money{Amount: n, Currency: "GBP"} }
	if got, ok := f.payment(first).Settlement(); !ok || got != (Settlement{Gross: gbp(1250), Refunded: gbp(250), Disputed: gbp(0), Fees: gbp(66), Net: gbp(934)}) {
		t.Errorf("settlement of the refunded order: got %+v, %t", got, ok)
	}
	if got, ok := f.payment(second).Settlement(); !ok || got.Net != gbp(4900-172) {
		t.Errorf("settlement of the other order: got %+v, %t; want a net amount of 47.28 GBP", got, ok)
	}
	if _, err := f.stripe.Advance(3 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	var list PayoutsBody
	if status := f.asStaff("/ops/api/payouts", &list); status != http.StatusOK || len(list.Payouts) != 1 {
		t.Fatalf("payouts: HTTP %d, %+v; want one", status, list)
	}
	var report PayoutReport
	if status := f.asStaff("/ops/api/payouts/"+list.Payouts[0].ID, &report); status != http.StatusOK {
		t.Fatalf("payout: HTTP %d", status)
	}
	if !report.Difference.IsZero() || report.Net != list.Payouts[0].Amount || report.Net != gbp(934+4728+1912) {
		t.Errorf("got a net sum of %s and a difference of %s for a payout of %s", report.Net, report.Difference, list.Payouts[0].Amount)
	}
	orders := map[string]int{}
	for _, row := range report.Rows {
		orders[row.OrderID]++
	}
	if len(report.Rows) != 4 || orders[first] != 2 || orders[second] != 1 || orders[""] != 1 {
		t.Errorf("rows by order: got %v, want 2 of the first order, 1 of the second, 1 of another program", orders)
	}
}

// Staff are told why there is no report.
func TestPayoutErrorsAreExplained(t *testing.T) {
	t.Parallel()
	f := newFixture(t, fixtureOptions{})
	if got := f.asStaff("/ops/api/payouts/po_none", nil); got != http.StatusNotFound {
		t.Errorf("unknown payout: HTTP %d, want 404", got)
	}
	down := newFixture(t, fixtureOptions{gateway: func(Gateway) Gateway { return unavailable{} }})
	if got := down.asStaff("/ops/api/payouts", nil); got != http.StatusServiceUnavailable {
		t.Errorf("Stripe is down: HTTP %d, want 503", got)
	}
}

// unavailable is a gateway to a Stripe that does not answer.
type unavailable struct{ Gateway }

func (unavailable) ListPayouts(context.Context, int, string) ([]Payout, bool, error) {
	return nil, false, &GatewayError{Kind: ErrRetry, Status: http.StatusServiceUnavailable}
}
