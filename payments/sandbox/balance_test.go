package sandbox_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"
)

// booked returns balance transactions, newest first.
func (s *testServer) booked(params *stripe.BalanceTransactionListParams) (booked []*stripe.BalanceTransaction) {
	s.t.Helper()
	list := s.stripe.BalanceTransactions.List(params)
	for list.Next() {
		booked = append(booked, list.BalanceTransaction())
	}
	if err := list.Err(); err != nil {
		s.t.Fatalf("list balance transactions: %v", err)
	}
	return booked
}

// movement is the part of a balance transaction that the tests compare.
type movement struct {
	Type             string
	Amount, Fee, Net int64
}

func movements(booked []*stripe.BalanceTransaction) (got []movement) {
	for _, b := range booked {
		got = append(got, movement{string(b.Type), b.Amount, b.Fee, b.Net})
	}
	return got
}

func TestChargesAndRefundsAreBooked(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	s.authorized()
	in := s.captured()
	re, err := s.refund(in.ID, 250)
	if err != nil {
		t.Fatal(err)
	}
	s.restart()
	params := &stripe.BalanceTransactionListParams{}
	params.AddExpand("data.source")
	booked := s.booked(params)
	// 2.9 % of 12.50 is 36.25, rounded.
	if diff := cmp.Diff([]movement{{"refund", -250, 0, -250}, {"charge", 1250, 66, 1184}}, movements(booked)); diff != "" {
		t.Fatalf("booked (-want +got):\n%s", diff)
	}
	if booked[0].Source.Refund.Amount != 250 || booked[1].Source.Charge.PaymentIntent.ID != in.ID {
		t.Errorf("got sources %+v, %+v; want the refund and the charge", booked[0].Source, booked[1].Source)
	}
	if re.BalanceTransaction.ID != booked[0].ID || booked[1].Status != "pending" || booked[1].FeeDetails[0].Amount != 66 {
		t.Errorf("got the refund's %s and a charge's %+v; want %s, pending, fee 66", re.BalanceTransaction.ID, booked[1], booked[0].ID)
	}
	one, err := s.stripe.BalanceTransactions.Get(booked[1].ID, nil)
	if err != nil || one.Source.ID != in.LatestCharge.ID {
		t.Errorf("got %+v, %v; want that of charge %s", one, err, in.LatestCharge.ID)
	}
	get := &stripe.PaymentIntentParams{}
	get.AddExpand("latest_charge.balance_transaction")
	if got, err := s.stripe.PaymentIntents.Get(in.ID, get); err != nil || got.LatestCharge.BalanceTransaction.Net != 1184 {
		t.Errorf("expanded: got %+v, %v; want the net amount 1184", got, err)
	}
}

func TestPayoutsOfWhatIsAvailable(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	s.captured()
	s.captured()
	s.advance(24 * time.Hour)
	s.captured()
	if b, err := s.stripe.Balance.Get(nil); err != nil || b.Available[0].Amount != 0 || b.Pending[0].Amount != 3*1184 {
		t.Errorf("got balance %+v, %v; want %d pending", b, err, 3*1184)
	}
	s.restart()
	s.advance(3 * 24 * time.Hour)
	var amounts []int64
	payouts := s.stripe.Payouts.List(nil).PayoutList().Data
	for _, p := range payouts {
		amounts = append(amounts, p.Amount)
		paid := s.booked(&stripe.BalanceTransactionListParams{Payout: stripe.String(p.ID)})
		sum := int64(0)
		for _, b := range paid {
			sum += b.Net
		}
		if sum != 0 || paid[0].Type != "payout" || paid[0].Net != -p.Amount || p.Status != "paid" || !p.Automatic {
			t.Errorf("payout %+v: got transactions %+v, want them to add up", p, movements(paid))
		}
	}
	if diff := cmp.Diff([]int64{1184, 2 * 1184}, amounts); diff != "" {
		t.Errorf("payouts, newest first (-want +got):\n%s", diff)
	}
	s.restart()
	s.advance(3 * 24 * time.Hour)
	if again := s.stripe.Payouts.List(nil).PayoutList().Data; len(again) != 2 {
		t.Errorf("days later: got %d payouts, want 2", len(again))
	}
	if b, err := s.stripe.Balance.Get(nil); err != nil || b.Available[0].Amount != 0 || b.Pending[0].Amount != 0 {
		t.Errorf("got balance %+v, %v; want nothing", b, err)
	}
	types := s.eventTypes()
	if types[len(types)-1] != "payout.paid" {
		t.Errorf("got the last event %s, want payout.paid", types[len(types)-1])
	}
}

// TestRefundsReduceThePayout refunds more than was captured since the last payout: the next payout waits until it is positive.
func TestRefundsReduceThePayout(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.captured()
	s.advance(3 * 24 * time.Hour)
	if _, err := s.refund(in.ID, 0); err != nil {
		t.Fatal(err)
	}
	s.advance(3 * 24 * time.Hour)
	if payouts := s.stripe.Payouts.List(nil).PayoutList().Data; len(payouts) != 1 {
		t.Fatalf("with a negative balance: got %d payouts, want 1", len(payouts))
	}
	s.captured()
	s.captured()
	s.advance(3 * 24 * time.Hour)
	payouts := s.stripe.Payouts.List(nil).PayoutList().Data
	if len(payouts) != 2 || payouts[0].Amount != 2*1184-1250 {
		t.Errorf("got %d payouts, the newest %+v; want one of %d", len(payouts), payouts[0], 2*1184-1250)
	}
}
