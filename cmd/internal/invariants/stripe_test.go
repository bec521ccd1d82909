package invariants_test

import (
	"net/http"
	"testing"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/events"
)

func TestChargesAtStripeMustMatchTheLog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*shop)
		want   []invariants.Finding
	}{
		{"TookMore", func(s *shop) { s.intents[0]["amount_received"] = 2 * price },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "captured 12.50 GBP in the log, 25.00 GBP at Stripe (pi_sold is succeeded)"}}},
		{"TookNothing", func(s *shop) { s.intents[0]["amount_received"] = 0 },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "captured 12.50 GBP in the log, 0.00 GBP at Stripe (pi_sold is succeeded)"}}},
		{"TookOtherCurrency", func(s *shop) { s.intents[0]["currency"] = "jpy" },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "captured 12.50 GBP in the log, 1250 JPY at Stripe (pi_sold is succeeded)"}}},
		{"NoIntent", func(s *shop) { s.intents = s.intents[1:] },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "captured 12.50 GBP in the log, but Stripe has no PaymentIntent for it"}}},
		{"TwoIntents", func(s *shop) { s.chargeAtStripe("pi_sold", "sold", price) },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "has two PaymentIntents at Stripe, pi_sold and pi_sold"}}},
		{"OtherIntent", func(s *shop) { s.intents[0]["id"] = "pi_x" },
			[]invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "has PaymentIntent pi_sold in the log, pi_x at Stripe"}}},
		{"UnknownOrder", func(s *shop) { s.chargeAtStripe("pi_y", "ghost", 7) },
			[]invariants.Finding{{Invariant: "I2", Subject: "order ghost", Detail: "is not in the log, and Stripe took 0.07 GBP under pi_y"}}},
		{"UnknownOrderRefunded", func(s *shop) { s.chargeAtStripe("pi_y", "ghost", 7); s.refundAtStripe("pi_y", 7, "succeeded") }, nil},
		{"UnknownOrderPartlyRefunded", func(s *shop) {
			s.chargeAtStripe("pi_y", "ghost", 7)
			s.refundAtStripe("pi_y", 3, "pending")
			s.refundAtStripe("pi_y", 4, "failed")
		}, []invariants.Finding{{Invariant: "I2", Subject: "order ghost", Detail: "is not in the log, and Stripe took 0.04 GBP under pi_y"}}},
		{"UnknownOrderNotCharged", func(s *shop) { s.chargeAtStripe("pi_y", "ghost", 0) }, nil},
		{"AnotherProgramsIntent", func(s *shop) {
			s.chargeAtStripe("pi_y", "", 7)
		}, nil},
		{"AnotherProgramsOrder", func(s *shop) {
			for _, id := range []string{"pi_x", "pi_y"} { // with ids of its own under the same keys
				s.chargeAtStripe(id, "6735", 7)
				s.intents[len(s.intents)-1]["metadata"] = map[string]string{"order_id": "6735", "payment_id": "1"}
			}
			s.chargeAtStripe("pi_z", "6736", 7)
			s.intents[len(s.intents)-1]["metadata"] = nil
		}, nil},
		{"OurOrderOfAnotherProgram", func(s *shop) {
			s.chargeAtStripe("pi_y", "sold", 7)
			s.intents[len(s.intents)-1]["metadata"] = map[string]string{"order_id": "sold"}
		}, []invariants.Finding{{Invariant: "I2", Subject: "order sold", Detail: "has two PaymentIntents at Stripe, pi_sold and pi_y"},
			{Invariant: "I2", Subject: "order sold", Detail: "has PaymentIntent pi_sold in the log, pi_y at Stripe"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.everyKind()
			test.change(s)
			options := s.options()
			options.StripeURL, options.StripeKey = s.serve().URL, "sk_test_1"
			finds(t, check(t, options), test.want...)
		})
	}
}

// A shopper pays after the log is read and before Stripe is. The order is read again and is on its way. A charge that only
// Stripe has is a finding.
func TestPaymentWhileStripeIsReadIsNoFinding(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pay  func(*shop)
		want []invariants.Finding
	}{
		"ByTheShop": {func(s *shop) { s.captured("o1", gbp(price)) }, nil},
		"ByStripeAlone": {func(s *shop) { s.chargeAtStripe("pi_o1", "o1", price) },
			[]invariants.Finding{{Invariant: "I2", Subject: "order o1", Detail: "captured 0.00 GBP in the log, 12.50 GBP at Stripe (pi_o1 is succeeded)"}}},
		"TwiceByStripeAlone": {func(s *shop) { s.chargeAtStripe("pi_x", "o2", price); s.chargeAtStripe("pi_y", "o2", price) },
			[]invariants.Finding{{Invariant: "I2", Subject: "order o2", Detail: "has two PaymentIntents at Stripe, pi_x and pi_y"},
				{Invariant: "I2", Subject: "order o2", Detail: "captured 0.00 GBP in the log, 12.50 GBP at Stripe (pi_x is succeeded)"},
				{Invariant: "I2", Subject: "order o2", Detail: "captured 0.00 GBP in the log, 12.50 GBP at Stripe (pi_y is succeeded)"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.awaiting("o1", time.Now().Add(time.Hour))
			s.placed("o2")
			s.held("o2")
			s.order("o2", events.OrderAwaitingPayment{OrderID: "o2", Amount: gbp(price), ExpiresAt: time.Now().Add(time.Hour)})
			options := s.options()
			options.StripeURL, options.StripeKey = s.serve().URL, "sk_test_1"
			var paid time.Time // earlier events are older than the settling time, later ones are not
			options.Now = func() time.Time {
				if paid.IsZero() {
					return time.Now().Add(2 * time.Minute)
				}
				return paid.Add(time.Minute)
			}
			options.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if paid.IsZero() {
					paid = time.Now()
					test.pay(s)
				}
				return http.DefaultTransport.RoundTrip(r)
			})}
			finds(t, check(t, options), test.want...)
		})
	}
}

func TestCheckPaymentsFindsOnlyWhatIsAboutMoney(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.everyKind()
	s.intents[0]["amount_received"] = 2 * price
	s.publish("inventory.stock.main.MUG", events.StockAdjusted{StockMovement: s.movement("MUG", 1, 900, 1, 1), Reason: "wrong"})
	options := s.options()
	if _, err := invariants.CheckPayments(t.Context(), options); err == nil {
		t.Error("without a key: got no error, want one that names Options.StripeKey")
	}
	options.StripeURL, options.StripeKey = s.serve().URL, "sk_test_1"
	if report := check(t, options); len(report.Findings) < 2 {
		t.Errorf("got %+v, want a finding about stock too", report.Findings)
	}
	report, err := invariants.CheckPayments(t.Context(), options)
	if err != nil || report.OK {
		t.Fatalf("got %+v, %v; want a finding", report, err)
	}
	finds(t, report, invariants.Finding{Invariant: "I2", Subject: "order sold", Detail: "captured 12.50 GBP in the log, 25.00 GBP at Stripe (pi_sold is succeeded)"})
}
