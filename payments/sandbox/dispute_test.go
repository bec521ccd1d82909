package sandbox_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"
)

// disputed pays with a test card that is disputed, and returns the dispute.
func (s *testServer) disputed(card string) *stripe.Dispute {
	s.t.Helper()
	in, err := s.confirm(s.create(func(p *stripe.PaymentIntentParams) { p.CaptureMethod = nil }).ID, card)
	if err != nil {
		s.t.Fatal(err)
	}
	found := s.stripe.Disputes.List(&stripe.DisputeListParams{PaymentIntent: stripe.String(in.ID)}).DisputeList().Data
	if len(found) != 1 || found[0].Charge.ID != in.LatestCharge.ID {
		s.t.Fatalf("got %d disputes, want one of charge %s", len(found), in.LatestCharge.ID)
	}
	return found[0]
}

func (s *testServer) dispute(id string) *stripe.Dispute {
	s.t.Helper()
	d, err := s.stripe.Disputes.Get(id, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// net is what the dispute has cost so far.
func net(d *stripe.Dispute) (sum int64) {
	for _, b := range d.BalanceTransactions {
		sum += b.Net
	}
	return sum
}

// disputeEvents returns the events of disputes, oldest first and without their common start.
func (s *testServer) disputeEvents() (types []string) {
	for _, kind := range s.eventTypes() {
		if short, ok := strings.CutPrefix(kind, "charge.dispute."); ok {
			types = append(types, short)
		}
	}
	return types
}

func TestDisputesOfTestCards(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status stripe.DisputeStatus
		reason stripe.DisputeReason
		net    int64
	}{
		"pm_card_createDispute":                   {stripe.DisputeStatusNeedsResponse, stripe.DisputeReasonFraudulent, -1250 - 1500},
		"pm_card_createDisputeProductNotReceived": {stripe.DisputeStatusNeedsResponse, stripe.DisputeReasonProductNotReceived, -1250 - 1500},
		"pm_card_createDisputeInquiry":            {stripe.DisputeStatusWarningNeedsResponse, stripe.DisputeReasonGeneral, 0},
	}
	for card, test := range tests {
		t.Run(card, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t)
			d := s.disputed(card)
			if d.Status != test.status || d.Reason != test.reason || d.Amount != 1250 || net(d) != test.net || d.EvidenceDetails.DueBy <= d.Created {
				t.Errorf("got %s, %s, %d, net %d, due %d; want %s, %s, 1250, net %d", d.Status, d.Reason, d.Amount, net(d), d.EvidenceDetails.DueBy, test.status, test.reason, test.net)
			}
			ch, err := s.stripe.Charges.Get(d.Charge.ID, nil)
			if err != nil || !ch.Disputed {
				t.Errorf("charge: got %+v, %v; want it disputed", ch, err)
			}
			_, err = s.refund(d.PaymentIntent.ID, 0)
			if refused := err != nil; refused != (test.net != 0) {
				t.Errorf("refund: got %v, want it refused only when the money was withdrawn", err)
			}
		})
	}
}

func TestEvidenceDecidesDisputes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		card, evidence string
		status         stripe.DisputeStatus
		net            int64
		events         []string
	}{
		"Won":              {"pm_card_createDispute", "winning_evidence", "won", 0, []string{"created", "funds_withdrawn", "updated", "closed", "funds_reinstated"}},
		"Lost":             {"pm_card_createDispute", "losing_evidence", "lost", -2750, []string{"created", "funds_withdrawn", "updated", "closed"}},
		"Open":             {"pm_card_createDispute", "a receipt", "under_review", -2750, []string{"created", "funds_withdrawn", "updated"}},
		"InquiryClosed":    {"pm_card_createDisputeInquiry", "winning_evidence", "warning_closed", 0, []string{"created", "updated", "closed"}},
		"InquiryEscalated": {"pm_card_createDisputeInquiry", "escalate_inquiry_evidence", "needs_response", -2750, []string{"created", "updated", "updated", "funds_withdrawn"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, inDir(t.TempDir()))
			d := s.disputed(test.card)
			params := &stripe.DisputeParams{Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: stripe.String(test.evidence)}}
			if _, err := s.stripe.Disputes.Update(d.ID, params); err != nil {
				t.Fatal(err)
			}
			s.restart()
			got := s.dispute(d.ID)
			if got.Status != test.status || net(got) != test.net || got.EvidenceDetails.SubmissionCount != 1 || got.Evidence.UncategorizedText != test.evidence {
				t.Errorf("got %s, net %d, %+v; want %s, net %d", got.Status, net(got), got.EvidenceDetails, test.status, test.net)
			}
			if diff := cmp.Diff(test.events, s.disputeEvents()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStagedEvidenceIsNotSubmitted(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	d := s.disputed("pm_card_createDispute")
	params := &stripe.DisputeParams{Submit: stripe.Bool(false), Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: stripe.String("winning_evidence")}}
	staged, err := s.stripe.Disputes.Update(d.ID, params)
	if err != nil || staged.Status != stripe.DisputeStatusNeedsResponse || !staged.EvidenceDetails.HasEvidence || staged.EvidenceDetails.SubmissionCount != 0 {
		t.Fatalf("got %+v, %v; want evidence staged", staged, err)
	}
	if _, err := s.stripe.Disputes.Update(d.ID, &stripe.DisputeParams{Submit: stripe.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	if got := s.dispute(d.ID); got.Status != stripe.DisputeStatusWon {
		t.Errorf("got %s, want won", got.Status)
	}
	if _, err := s.stripe.Disputes.Update(d.ID, params); err == nil {
		t.Error("evidence for a closed dispute: got no error, want one")
	}
}

func TestDisputesAreLostByTimeOrByTheShop(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, inDir(t.TempDir()))
	late, inquiry := s.disputed("pm_card_createDispute"), s.disputed("pm_card_createDisputeInquiry")
	given, err := s.stripe.Disputes.Close(s.disputed("pm_card_createDispute").ID, nil)
	if err != nil || given.Status != stripe.DisputeStatusLost {
		t.Errorf("closed by the shop: got %+v, %v; want lost", given, err)
	}
	s.advance(9*24*time.Hour - time.Second)
	s.restart()
	if got := s.dispute(late.ID); got.Status != stripe.DisputeStatusNeedsResponse {
		t.Errorf("before the deadline: got %s, want needs_response", got.Status)
	}
	s.advance(time.Second)
	if got := s.dispute(late.ID); got.Status != stripe.DisputeStatusLost || !got.EvidenceDetails.PastDue {
		t.Errorf("after the deadline: got %s, past due %v; want lost, true", got.Status, got.EvidenceDetails.PastDue)
	}
	s.advance(120 * 24 * time.Hour)
	if got := s.dispute(inquiry.ID); got.Status != stripe.DisputeStatusWarningClosed || net(got) != 0 {
		t.Errorf("inquiry after 120 days: got %s, net %d; want warning_closed, 0", got.Status, net(got))
	}
}

func TestDisputesAreForced(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	in := s.captured()
	opened := s.control("POST", "/sandbox/disputes", `{"payment_intent":"`+in.ID+`","reason":"general"}`)
	var answer struct{ ID string }
	opened.decode(t, &answer)
	for _, status := range []stripe.DisputeStatus{"prevented", "won", "lost", "needs_response"} {
		got := s.control("POST", "/sandbox/disputes/"+answer.ID, `{"status":"`+string(status)+`"}`)
		if d := s.dispute(answer.ID); got.status != 200 || d.Status != status {
			t.Errorf("got %d %s and status %s, want %s", got.status, got.body, d.Status, status)
		}
	}
	if got := s.dispute(answer.ID); net(got) != -2750 || len(got.BalanceTransactions) != 3 {
		t.Errorf("got %d transactions, net %d; want 3 and that of an open dispute", len(got.BalanceTransactions), net(got))
	}
	if types := s.disputeEvents(); !slices.Contains(types, "funds_reinstated") || types[0] != "created" {
		t.Errorf("got events %v, want funds_reinstated among them", types)
	}
	for path, body := range map[string]string{
		"/sandbox/disputes/dp_none": `{"status":"won"}`, "/sandbox/disputes": `{"payment_intent":"pi_none","reason":"general"}`,
	} {
		if got := s.control("POST", path, body); got.status != 404 {
			t.Errorf("%s: got %d, want 404", path, got.status)
		}
	}
	if got := s.control("POST", "/sandbox/disputes", `{"payment_intent":"`+in.ID+`","reason":"general"}`); got.status != 400 {
		t.Errorf("a second dispute: got %d, want 400", got.status)
	}
}
