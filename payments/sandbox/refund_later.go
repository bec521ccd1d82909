package sandbox

import "time"

// pending is the status of a refund that the bank has not confirmed.
const pending = "pending"

// What the test cards do with refunds.
const (
	refundPends = "refund_pends" // pending, and then succeeded
	refundFails = "refund_fails" // succeeded, and then failed
)

// refundDelay is when the bank of these cards confirms or refuses a refund.
const refundDelay = time.Hour

// laterOf returns what happens after the payment of the charge.
func (t *tx) laterOf(ch *charge) string {
	if in := t.intent(ch.PaymentIntent); in != nil {
		return in.private.later()
	}
	return ""
}

// concludeRefund confirms or refuses a refund.
func (t *tx) concludeRefund(index int) {
	re, err := t.server.refunds.get(index)
	if re = clone(orFail(t, re, err)); re == nil {
		return
	}
	ch := t.charge(re.Charge)
	if ch == nil {
		return
	}
	switch {
	case re.Status == pending:
		re.Status = succeeded
		t.putRefund(re)
		t.emit("charge.refund.updated", re)
	case re.Status == succeeded && t.laterOf(ch) == refundFails:
		re.FailureReason = "expired_or_canceled_card"
		t.returnRefund(re, ch, "failed")
	}
}

// returnRefund ends a refund whose money came back to the shop's balance.
func (t *tx) returnRefund(re *refund, ch *charge, status string) {
	re.Status = status
	re.FailureBalance = t.book(bookRefundFailure, re.ID, re.Currency, re.Amount, 0).ID
	ch.refund(-re.Amount)
	t.putCharge(ch)
	t.putRefund(re)
	t.emit("charge.refund.updated", re)
}

// cancelRefund answers POST /v1/refunds/{id}/cancel.
func cancelRefund(t *tx, c *call) (any, *apiError) {
	re := t.refund(c.target)
	if re == nil {
		return nil, notFound("refund", "id", c.target)
	}
	if re.Status != pending {
		return nil, invalid("", "", "You cannot cancel this refund because it has a status of %s. Only a refund with one of the following statuses may be canceled: pending, requires_action.", re.Status)
	}
	ch := t.charge(re.Charge)
	if ch == nil {
		return nil, notFound("charge", "charge", re.Charge)
	}
	t.returnRefund(re, ch, canceled)
	return re, nil
}
