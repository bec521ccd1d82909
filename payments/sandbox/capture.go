package sandbox

// The states of the feature multicapture of a card's charge.
const (
	available   = "available"
	unavailable = "unavailable"
)

var (
	captureParams = []string{"amount_to_capture", "expand", "final_capture", "metadata", "statement_descriptor", "statement_descriptor_suffix"}
	cancelParams  = []string{"cancellation_reason", "expand"}
)

// captured records that an amount of the charge was captured, with its balance transaction.
func (t *tx) captured(ch *charge, amount int64) {
	ch.capture(amount)
	why := bookCharge
	if ch.PaymentMethodDetails.Type != methodCard {
		why = bookPayment
	}
	ch.BalanceTransaction = text(t.book(why, ch.ID, ch.Currency, amount, paymentFee(amount)).ID)
}

// captureRequest has the parameters of a capture.
type captureRequest struct {
	amount int64
	final  bool // the rest of the authorization is released
}

func (in *intent) readCapture(f form, multicapture bool) (r captureRequest, problem *apiError) {
	amount, sent, problem := f.integer("amount_to_capture")
	if problem != nil {
		return r, problem
	}
	if !sent {
		amount = in.AmountCapturable
	}
	r = captureRequest{amount: amount, final: true}
	if f.has("final_capture") {
		if r.final, problem = f.boolean("final_capture"); problem != nil {
			return r, problem
		}
	}
	least := int64(1)
	if r.final && in.AmountReceived > 0 {
		least = 0 // the rest is released
	}
	switch {
	case !r.final && !multicapture:
		return r, invalid("final_capture", "payment_intent_invalid_parameter", "This PaymentIntent cannot be captured more than once: multicapture is not available for its charge.")
	case amount < least:
		return r, invalid("amount_to_capture", "parameter_invalid_integer", "This value must be greater than or equal to %d.", least)
	case amount > in.AmountCapturable:
		return r, invalid("amount_to_capture", "amount_too_large", "The amount to capture (%d %s) is greater than the amount that can be captured (%d %s).", amount, in.Currency, in.AmountCapturable, in.Currency)
	}
	r.final = r.final || amount == in.AmountCapturable
	return r, nil
}

// captureIntent answers POST /v1/payment_intents/{id}/capture.
func captureIntent(t *tx, c *call) (any, *apiError) {
	in, problem := t.findIntent(c)
	if problem != nil {
		return nil, problem
	}
	metadata, problem := c.form.metadata(in.Metadata)
	if problem != nil {
		return nil, problem
	}
	if in.Status != requiresCapture {
		return nil, unexpectedState(in, "This PaymentIntent could not be captured because it has a status of %s. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.", in.Status)
	}
	ch := t.charge(string(in.LatestCharge))
	r, problem := in.readCapture(c.form, ch.multicapture())
	if problem != nil {
		return nil, problem
	}
	in.Metadata = metadata
	t.capture(in, ch, r)
	return in, nil
}

// capture captures an amount. After the final capture the rest is released; after another one it can still be captured.
func (t *tx) capture(in *intent, ch *charge, r captureRequest) {
	if r.amount > 0 {
		t.captured(ch, r.amount)
	}
	in.capture(r)
	t.putCharge(ch)
	if r.final {
		t.emit("charge.captured", ch)
	} else {
		t.emit("charge.updated", ch)
	}
	t.putIntent(in)
	if !r.final {
		t.emit("payment_intent.amount_capturable_updated", in)
		return
	}
	t.emit("payment_intent.succeeded", in)
	t.disputeByMethod(in, ch)
}

// cancelIntent answers POST /v1/payment_intents/{id}/cancel.
func cancelIntent(t *tx, c *call) (any, *apiError) {
	in, problem := t.findIntent(c)
	if problem != nil {
		return nil, problem
	}
	reason := ""
	if c.form.has("cancellation_reason") {
		reason, problem = c.form.oneOf("cancellation_reason", "duplicate", "fraudulent", "requested_by_customer", "abandoned")
		if problem != nil {
			return nil, problem
		}
	}
	if !in.cancelable() {
		return nil, unexpectedState(in, "You cannot cancel this PaymentIntent because it has a status of %s. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, requires_action, processing.", in.Status)
	}
	t.end(in, reason, "charge.refunded")
	return in, nil
}

// end cancels the intent. It releases an authorization, which Stripe shows as a refund of the uncaptured charge, with that event.
// What was captured before stays captured; then the intent has succeeded.
func (t *tx) end(in *intent, reason, released string) {
	if in.Status == requiresCapture {
		ch := t.charge(string(in.LatestCharge))
		if in.AmountReceived > 0 {
			t.capture(in, ch, captureRequest{final: true})
			return
		}
		ch.release()
		t.putCharge(ch)
		t.emit(released, ch)
	}
	in.cancel(reason, t.now)
	t.putIntent(in)
	t.emit("payment_intent.canceled", in)
}

// expire ends an authorization that was not captured in time.
func (t *tx) expire(index int) {
	in := t.intentAt(index)
	if in == nil || in.Status != requiresCapture {
		return
	}
	if ch := t.charge(string(in.LatestCharge)); ch == nil || int64(ch.PaymentMethodDetails.Card.CaptureBefore) > t.now.Unix() {
		return
	}
	t.end(in, "automatic", "charge.expired")
}
