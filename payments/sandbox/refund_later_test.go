package sandbox_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"
)

// refunded pays with a card and refunds a part.
func (s *testServer) refunded(card string) *stripe.Refund {
	s.t.Helper()
	in, err := s.confirm(s.create(func(p *stripe.PaymentIntentParams) { p.CaptureMethod = nil }).ID, card)
	if err != nil {
		s.t.Fatal(err)
	}
	re, err := s.refund(in.ID, 250)
	if err != nil {
		s.t.Fatal(err)
	}
	return re
}

func (s *testServer) refundNow(id string) *stripe.Refund {
	s.t.Helper()
	re, err := s.stripe.Refunds.Get(id, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return re
}

func (s *testServer) lastEvents(n int) []string {
	s.t.Helper()
	types := s.eventTypes()
	return types[len(types)-n:]
}

func TestRefundsArePendingThenSucceed(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	re := s.refunded("pm_card_pendingRefund")
	if re.Status != stripe.RefundStatusPending {
		t.Errorf("at first: got %s, want pending", re.Status)
	}
	s.restart()
	s.advance(time.Hour)
	if got := s.refundNow(re.ID); got.Status != stripe.RefundStatusSucceeded {
		t.Errorf("an hour later: got %s, want succeeded", got.Status)
	}
	if diff := cmp.Diff([]string{"charge.refunded", "charge.refund.updated"}, s.lastEvents(2)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestRefundsSucceedThenFail(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	re := s.refunded("pm_card_refundFail")
	if re.Status != stripe.RefundStatusSucceeded {
		t.Errorf("at first: got %s, want succeeded", re.Status)
	}
	s.restart()
	s.advance(time.Hour)
	got := s.refundNow(re.ID)
	if got.Status != stripe.RefundStatusFailed || got.FailureReason != stripe.RefundFailureReasonExpiredOrCanceledCard {
		t.Errorf("an hour later: got %s, %s; want failed with a reason", got.Status, got.FailureReason)
	}
	ch, err := s.stripe.Charges.Get(re.Charge.ID, nil)
	if err != nil || ch.AmountRefunded != 0 || ch.Refunded {
		t.Errorf("charge: got %+v, %v; want nothing refunded", ch, err)
	}
	booked := s.booked(&stripe.BalanceTransactionListParams{Source: stripe.String(re.ID)})
	if diff := cmp.Diff([]movement{{"refund_failure", 250, 0, 250}, {"refund", -250, 0, -250}}, movements(booked)); diff != "" {
		t.Errorf("booked (-want +got):\n%s", diff)
	}
	if got.FailureBalanceTransaction.ID != booked[0].ID {
		t.Errorf("got failure balance transaction %s, want %s", got.FailureBalanceTransaction.ID, booked[0].ID)
	}
	before := len(s.eventTypes())
	s.restart()
	s.advance(time.Hour)
	if after := len(s.eventTypes()); after != before {
		t.Errorf("an hour later: got %d more events, want none", after-before)
	}
}

func TestPendingRefundsAreCanceled(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	re := s.refunded("pm_card_pendingRefund")
	got, err := s.stripe.Refunds.Cancel(re.ID, nil)
	if err != nil || got.Status != stripe.RefundStatusCanceled {
		t.Fatalf("got %+v, %v; want canceled", got, err)
	}
	s.advance(time.Hour)
	if got := s.refundNow(re.ID); got.Status != stripe.RefundStatusCanceled {
		t.Errorf("an hour later: got %s, want canceled", got.Status)
	}
	if _, err := s.stripe.Refunds.Cancel(re.ID, nil); err == nil {
		t.Error("canceled twice: got no error, want one")
	}
	if all, err := s.refund(re.PaymentIntent.ID, 0); err != nil || all.Amount != 1250 {
		t.Errorf("a refund of everything after it: got %+v, %v; want 1250", all, err)
	}
}
