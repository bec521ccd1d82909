package sandbox

import (
	"cmp"
	"net/http"
	"time"
)

var (
	refundParams       = []string{"amount", "charge", "expand", "metadata", "payment_intent", "reason", "instructions_email"}
	refundUpdateParams = []string{"expand", "metadata"}
	refundListParams   = append([]string{"charge", "payment_intent", "created"}, pageParams...)
)

// refund is a refund of a charge, as Stripe shows it.
type refund struct {
	ID                     string             `json:"id"`
	Object                 string             `json:"object"`
	Amount                 int64              `json:"amount"`
	BalanceTransaction     text               `json:"balance_transaction"`
	Charge                 string             `json:"charge"`
	Created                int64              `json:"created"`
	Currency               string             `json:"currency"`
	DestinationDetails     *refundDestination `json:"destination_details,omitempty"`
	FailureBalance         string             `json:"failure_balance_transaction,omitempty"`
	FailureReason          string             `json:"failure_reason,omitempty"`
	Metadata               map[string]string  `json:"metadata"`
	PaymentIntent          string             `json:"payment_intent"`
	Reason                 text               `json:"reason"`
	ReceiptNumber          text               `json:"receipt_number"`
	SourceTransferReversal absent             `json:"source_transfer_reversal"`
	Status                 string             `json:"status"`
	TransferReversal       absent             `json:"transfer_reversal"`
}

type refundDestination struct {
	Card refundCard `json:"card"`
	Type string     `json:"type"`
}

type refundCard struct {
	ReferenceStatus string `json:"reference_status"`
	ReferenceType   string `json:"reference_type"`
	Type            string `json:"type"`
}

func newRefund(ch *charge, amount int64, now time.Time) *refund {
	re := &refund{
		ID: newID("re"), Object: "refund", Amount: amount, Charge: ch.ID, Created: now.Unix(), Currency: ch.Currency,
		PaymentIntent: ch.PaymentIntent, Status: succeeded,
	}
	if ch.PaymentMethodDetails.Card != nil {
		re.DestinationDetails = &refundDestination{
			Type: methodCard,
			Card: refundCard{ReferenceStatus: pending, ReferenceType: "acquirer_reference_number", Type: "refund"},
		}
	}
	return re
}

// createRefund answers POST /v1/refunds.
func createRefund(t *tx, c *call) (any, *apiError) {
	ch, problem := t.refundedCharge(c.form)
	if problem != nil {
		return nil, problem
	}
	d := t.dispute(string(ch.Dispute))
	amount, problem := refundAmount(c.form, ch, d == nil || d.IsChargeRefundable)
	if problem != nil {
		return nil, problem
	}
	re := newRefund(ch, amount, t.now)
	if re.Metadata, problem = c.form.metadata(nil); problem != nil {
		return nil, problem
	}
	if c.form.has("reason") {
		reason, problem := c.form.oneOf("reason", "duplicate", "fraudulent", "requested_by_customer")
		if problem != nil {
			return nil, problem
		}
		re.Reason = text(reason)
	}
	if t.laterOf(ch) == refundPends {
		re.Status = pending
	}
	re.BalanceTransaction = text(t.book(bookRefund, re.ID, re.Currency, -amount, 0).ID) // the fee is not returned
	ch.refund(amount)
	t.putCharge(ch)
	t.putRefund(re)
	t.emit("charge.refunded", ch)
	if re.Status == pending || t.laterOf(ch) == refundFails {
		t.schedule(taskRefund, re.ID, t.now.Add(refundDelay).Unix())
	}
	return re, nil
}

// refundedCharge finds the charge to refund by its id or its intent's.
func (t *tx) refundedCharge(f form) (*charge, *apiError) {
	id, intentID := f["charge"], f["payment_intent"]
	if id == "" && intentID == "" {
		return nil, invalid("", "parameter_missing", "One of the following params should be provided for this request: payment_intent or charge.")
	}
	if intentID != "" {
		in := t.intent(intentID)
		if in == nil {
			return nil, notFound("payment_intent", "payment_intent", intentID)
		}
		if id != "" && id != string(in.LatestCharge) {
			return nil, invalid("charge", "", "The charge %s does not belong to the PaymentIntent %s.", id, intentID)
		}
		id = string(in.LatestCharge)
		if in.Status != succeeded && in.AmountReceived == 0 {
			return nil, unexpectedState(in, "This PaymentIntent (%s) does not have a successful charge to refund.", intentID)
		}
	}
	ch := t.charge(id)
	if ch == nil {
		return nil, notFound("charge", "charge", id)
	}
	return ch, nil
}

// refundAmount returns the amount to refund; refundable is whether the charge's dispute allows it.
func refundAmount(f form, ch *charge, refundable bool) (int64, *apiError) {
	amount, sent, problem := f.integer("amount")
	if problem != nil {
		return 0, problem
	}
	if sent && amount < 1 {
		return 0, invalid("amount", "parameter_invalid_integer", "This value must be greater than or equal to 1.")
	}
	left := ch.refundable()
	switch {
	case !ch.Captured:
		return 0, notRefundable(ch, "charge_not_refundable", "Charge %s was not captured; cancel its PaymentIntent instead.", ch.ID)
	case ch.Disputed && !refundable:
		return 0, notRefundable(ch, "charge_disputed", "Charge %s has been charged back; cannot issue a refund.", ch.ID)
	case left == 0:
		return 0, notRefundable(ch, "charge_already_refunded", "Charge %s has already been refunded.", ch.ID)
	case !sent:
		return left, nil
	case amount > left:
		problem := notRefundable(ch, "amount_too_large", "Refund amount (%d %s) is greater than unrefunded amount on charge (%d %s)", amount, ch.Currency, left, ch.Currency)
		problem.Param = "amount"
		return 0, problem
	}
	return amount, nil
}

func notRefundable(ch *charge, code, format string, args ...any) *apiError {
	problem := invalid("", code, format, args...)
	problem.status, problem.unstored, problem.Charge = http.StatusBadRequest, false, ch.ID
	return problem
}

// getRefund answers GET /v1/refunds/{id}.
func getRefund(t *tx, c *call) (any, *apiError) {
	re := t.refund(c.target)
	if re == nil {
		return nil, notFound("refund", "id", c.target)
	}
	return re, nil
}

// updateRefund answers POST /v1/refunds/{id}, which changes metadata only.
func updateRefund(t *tx, c *call) (any, *apiError) {
	re := t.refund(c.target)
	if re == nil {
		return nil, notFound("refund", "id", c.target)
	}
	metadata, problem := c.form.metadata(re.Metadata)
	if problem != nil {
		return nil, problem
	}
	re.Metadata = metadata
	t.putRefund(re)
	t.emit("charge.refund.updated", re)
	return re, nil
}

// listRefunds answers GET /v1/refunds, newest first.
func listRefunds(t *tx, c *call) (any, *apiError) {
	created, problem := readTimeRange(c.form, "created")
	if problem != nil {
		return nil, problem
	}
	if c.form.has("payment_intent") && c.form.has("charge") {
		return nil, invalid("charge", "parameters_exclusive", "You may only specify one of these parameters: payment_intent, charge.")
	}
	refunds := t.server.refunds
	match := func(index int) bool { return created.includes(refunds.rows[index].created) }
	var indexes []int
	var more bool
	if owner := cmp.Or(c.form["payment_intent"], c.form["charge"]); owner != "" {
		indexes, more, problem = readPageAmong(c.form, t.server.refundsOf[owner], refunds.index, match)
	} else {
		indexes, more, problem = readPage(c.form, len(refunds.rows), refunds.index, match)
	}
	if problem != nil {
		return nil, problem
	}
	return newPage(c.path, showAll(t, refunds, indexes), more), nil
}
