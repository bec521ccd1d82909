package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/events"
)

// The statuses of a dispute. Those that begin with warning_ are of inquiries, which move no money.
const (
	needsResponse        = "needs_response"
	underReview          = "under_review"
	won                  = "won"
	lost                 = "lost"
	warningNeedsResponse = "warning_needs_response"
	warningUnderReview   = "warning_under_review"
	warningClosed        = "warning_closed"
)

// The texts in uncategorized_text by which Stripe's test mode decides (docs.stripe.com/testing#evidence).
const (
	winningEvidence  = "winning_evidence"
	losingEvidence   = "losing_evidence"
	escalateEvidence = "escalate_inquiry_evidence"
)

const (
	// evidencePeriod is how long the shop can respond. Stripe's differs by card network, 7 to 21 days.
	evidencePeriod = 9 * day
	// reviewPeriod is how long after the evidence is due a bank decides at the latest: against the shop.
	reviewPeriod = 60 * day
	// inquiryPeriod is when an inquiry ends that was not escalated.
	inquiryPeriod = 120 * day
)

// evidenceFields are the texts and files of an evidence.
var evidenceFields = []string{
	"access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure", "cancellation_rebuttal",
	"customer_communication", "customer_email_address", "customer_name", "customer_purchase_ip", "customer_signature",
	"duplicate_charge_documentation", "duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt",
	"refund_policy", "refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation",
	"shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation", "shipping_tracking_number",
	"uncategorized_file", "uncategorized_text",
}

// dispute is a payment that its payer contests, as Stripe shows it.
type dispute struct {
	ID                   string                `json:"id"`
	Object               string                `json:"object"`
	Amount               int64                 `json:"amount"`
	BalanceTransactions  []*balanceTransaction `json:"balance_transactions"`
	Charge               string                `json:"charge"`
	Created              int64                 `json:"created"`
	Currency             string                `json:"currency"`
	Evidence             map[string]text       `json:"evidence"`
	EvidenceDetails      evidenceDetails       `json:"evidence_details"`
	IsChargeRefundable   bool                  `json:"is_charge_refundable"`
	Livemode             bool                  `json:"livemode"`
	Metadata             map[string]string     `json:"metadata"`
	PaymentIntent        string                `json:"payment_intent"`
	PaymentMethodDetails *disputedMethod       `json:"payment_method_details,omitempty"`
	Reason               string                `json:"reason"`
	Status               string                `json:"status"`
}

type evidenceDetails struct {
	DueBy           number `json:"due_by"`
	HasEvidence     bool   `json:"has_evidence"`
	PastDue         bool   `json:"past_due"`
	SubmissionCount int64  `json:"submission_count"`
}

type disputedMethod struct {
	Card disputedCard `json:"card"`
	Type string       `json:"type"`
}

type disputedCard struct {
	Brand             string `json:"brand"`
	CaseType          string `json:"case_type"`
	NetworkReasonCode string `json:"network_reason_code"`
}

// opening is how a dispute begins.
type opening struct {
	reason string
	status string
}

// openings are the disputes of the test cards and accounts that are disputed after they have paid.
var openings = map[string]opening{
	"dispute_fraudulent":   {"fraudulent", needsResponse},
	"dispute_not_received": {"product_not_received", needsResponse},
	"dispute_inquiry":      {"general", warningNeedsResponse},
	"dispute_debit":        {"debit_not_authorized", lost}, // banks decide without the shop
}

// disputeByMethod has the payment disputed if its test card or account says so, right after the request.
func (t *tx) disputeByMethod(in *intent, ch *charge) {
	if _, ok := openings[in.private.later()]; ok {
		t.schedule(taskDispute, ch.ID, t.now.Unix())
	}
}

// disputeCharge opens the dispute that the charge's test card or account wants.
func (t *tx) disputeCharge(index int) {
	ch, err := t.server.charges.get(index)
	if ch = clone(orFail(t, ch, err)); ch == nil || ch.Disputed {
		return
	}
	if in := t.intent(ch.PaymentIntent); in != nil {
		t.openDispute(ch, openings[in.private.later()])
	}
}

// openDispute opens a dispute of what is left of a charge.
func (t *tx) openDispute(ch *charge, o opening) *dispute {
	d := &dispute{
		ID: newID("dp"), Object: "dispute", Amount: ch.refundable(), BalanceTransactions: []*balanceTransaction{}, Charge: ch.ID,
		Created: t.now.Unix(), Currency: ch.Currency, Evidence: make(map[string]text, len(evidenceFields)), Metadata: map[string]string{},
		PaymentIntent: ch.PaymentIntent, Reason: o.reason, Status: o.status,
	}
	for _, name := range evidenceFields {
		d.Evidence[name] = ""
	}
	if card := ch.PaymentMethodDetails.Card; card != nil {
		d.PaymentMethodDetails = &disputedMethod{Card: disputedCard{Brand: card.Brand, CaseType: "chargeback", NetworkReasonCode: "10"}, Type: "card"}
		if d.inquiry() {
			d.PaymentMethodDetails.Card.CaseType = "inquiry"
		}
	}
	if !d.closed() {
		d.EvidenceDetails.DueBy = number(t.now.Add(evidencePeriod).Unix())
	}
	ch.Disputed, ch.Dispute = true, text(d.ID)
	t.putCharge(ch)
	t.changeDispute(d, d.Status, "charge.dispute.created")
	t.scheduleDispute(d)
	return d
}

// scheduleDispute schedules what happens if nobody does anything.
func (t *tx) scheduleDispute(d *dispute) {
	due := time.Unix(int64(d.EvidenceDetails.DueBy), 0)
	switch d.Status {
	case needsResponse:
		t.schedule(taskJudge, d.ID, due.Unix())
	case underReview, warningUnderReview:
		t.schedule(taskJudge, d.ID, t.now.Unix()) // the evidence may decide
		t.schedule(taskJudge, d.ID, due.Add(reviewPeriod).Unix())
	case warningNeedsResponse:
		t.schedule(taskJudge, d.ID, time.Unix(d.Created, 0).Add(inquiryPeriod).Unix())
	}
}

// judge ends a dispute when its time or its evidence says so.
func (t *tx) judge(index int) {
	d, err := t.server.disputes.get(index)
	if d = clone(orFail(t, d, err)); d == nil {
		return
	}
	verdict := d.verdict(t.now)
	if verdict == "" {
		return
	}
	d.EvidenceDetails.PastDue = d.Status == needsResponse
	t.changeDispute(d, verdict, "")
	t.scheduleDispute(d)
}

// verdict returns the status that follows by itself at a time, or the empty string.
func (d *dispute) verdict(now time.Time) string {
	due := time.Unix(int64(d.EvidenceDetails.DueBy), 0)
	evidence := string(d.Evidence["uncategorized_text"])
	switch d.Status {
	case needsResponse:
		if !now.Before(due) {
			return lost
		}
	case underReview:
		switch {
		case evidence == winningEvidence:
			return won
		case evidence == losingEvidence, !now.Before(due.Add(reviewPeriod)):
			return lost
		}
	case warningUnderReview, warningNeedsResponse:
		switch {
		case evidence == escalateEvidence && d.Status == warningUnderReview:
			return needsResponse
		case evidence == winningEvidence, evidence == losingEvidence, !now.Before(time.Unix(d.Created, 0).Add(inquiryPeriod)):
			return warningClosed
		}
	}
	return ""
}

func (d *dispute) inquiry() bool { return strings.HasPrefix(d.Status, "warning_") }

func (d *dispute) closed() bool { return slices.Contains([]string{won, lost, warningClosed}, d.Status) }

// withdrawn reports whether the shop's account was debited.
func (d *dispute) withdrawn() bool {
	var net int64
	for _, b := range d.BalanceTransactions {
		net += b.Net
	}
	return net < 0
}

// changeDispute sets a status and moves the money that goes with it. event is that of the change; the empty string is the event of
// an update or of the end.
func (t *tx) changeDispute(d *dispute, status, event string) {
	d.Status = status
	if event == "" {
		event = "charge.dispute.updated"
		if d.closed() {
			event = "charge.dispute.closed"
		}
	}
	moved := ""
	switch status {
	case needsResponse, underReview, lost:
		if !d.withdrawn() {
			t.moveDisputed(d, bookDispute, -1)
			moved = "charge.dispute.funds_withdrawn"
		}
	case won, warningClosed:
		if d.withdrawn() {
			t.moveDisputed(d, bookDisputeReversal, 1)
			moved = "charge.dispute.funds_reinstated"
		}
	}
	d.IsChargeRefundable = !d.withdrawn()
	t.putDispute(d)
	t.emit(event, d)
	if moved != "" {
		t.emit(moved, d)
	}
	if event == "charge.dispute.created" && d.closed() {
		t.emit("charge.dispute.closed", d)
	}
}

// moveDisputed books the amount and the fee of 15.00, which Stripe returns when the shop wins in test mode.
func (t *tx) moveDisputed(d *dispute, why bookType, sign int64) {
	fee := int64(15)
	for range events.MinorDigits(strings.ToUpper(d.Currency)) {
		fee *= 10
	}
	b := t.book(why, d.ID, d.Currency, sign*d.Amount, -sign*fee)
	d.BalanceTransactions = append(slices.Clone(d.BalanceTransactions), b)
}

// OpenDispute has the bank dispute the newest charge of an intent, as an inquiry or not, and returns the dispute's id. reason is one
// of docs.stripe.com/disputes/categories, for example fraudulent.
func (s *Server) OpenDispute(intentID, reason string, inquiry bool) (id string, err error) {
	o := opening{reason, needsResponse}
	if inquiry {
		o.status = warningNeedsResponse
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(&call{})
	in := t.intent(intentID)
	if in == nil {
		return "", fmt.Errorf("dispute payment %s: %w", intentID, errUnknown)
	}
	ch := t.charge(string(in.LatestCharge))
	if ch == nil || ch.refundable() == 0 || ch.Disputed {
		return "", fmt.Errorf("dispute payment %s: it has nothing that was captured and not disputed", intentID)
	}
	d := t.openDispute(ch, o)
	return d.ID, t.commit()
}

// SetDisputeStatus sets any status, also one that Stripe's documentation does not have. Money moves as with the known ones.
func (s *Server) SetDisputeStatus(id, status string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(&call{})
	d := t.dispute(id)
	if d == nil {
		return fmt.Errorf("set the status of dispute %s: %w", id, errUnknown)
	}
	if status == "" {
		return fmt.Errorf("set the status of dispute %s: it is empty", id)
	}
	t.changeDispute(d, status, "")
	t.scheduleDispute(d)
	return t.commit()
}
