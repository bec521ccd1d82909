package sandbox

import "time"

var confirmParams = []string{
	"capture_method", "client_secret", "error_on_requires_action", "expand", "mandate_data", "off_session",
	"payment_method", "payment_method_data", "payment_method_options", "receipt_email", "return_url",
	"setup_future_usage", "shipping", "use_stripe_sdk",
}

// attempt has the parameters of an attempt to pay.
type attempt struct {
	means      *means // nil for what the intent has
	returnURL  string
	offSession bool // the shopper is not present and cannot authenticate
}

func readAttempt(f form, now time.Time) (a attempt, problem *apiError) {
	if a.means, problem = readMeans(f, now); problem != nil {
		return a, problem
	}
	offSession := f["off_session"]
	strict, problem := f.boolean("error_on_requires_action")
	if problem != nil {
		return a, problem
	}
	a.offSession = strict || offSession != "" && offSession != "false"
	a.returnURL = f["return_url"]
	if err := checkURL(a.returnURL); err != nil {
		return a, invalid("return_url", "url_invalid", "Not a valid URL")
	}
	return a, nil
}

// confirmIntent answers POST /v1/payment_intents/{id}/confirm.
func confirmIntent(t *tx, c *call) (any, *apiError) {
	in, problem := t.findIntent(c)
	if problem != nil {
		return nil, problem
	}
	a, problem := readAttempt(c.form, t.now)
	if problem != nil {
		return nil, problem
	}
	if in.Status == succeeded {
		return nil, unexpectedState(in, "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.")
	}
	if !in.confirmable() {
		return nil, unexpectedState(in, "You cannot confirm this PaymentIntent because it has a status of %s. Only a PaymentIntent with one of the following statuses may be confirmed: requires_confirmation, requires_action, requires_payment_method.", in.Status)
	}
	if problem := in.accepts(a.means); problem != nil {
		return nil, problem
	}
	switch {
	case a.means != nil:
		in.use(a.means)
	case in.private.Card == nil && in.private.Debit == nil:
		return nil, unexpectedState(in, "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method.")
	}
	return t.attempt(c, in, a)
}

// attempt pays with what the intent has, up to the authentication of the shopper if the card needs that.
func (t *tx) attempt(c *call, in *intent, a attempt) (any, *apiError) {
	if a.returnURL != "" {
		in.private.ReturnURL = a.returnURL
	}
	if in.private.Debit != nil {
		t.debit(in)
		return in, nil
	}
	secure := in.private.Card.Secure3D
	switch {
	case secure && a.offSession:
		return nil, t.decline(in, "authentication", false)
	case secure:
		in.requireAction(c.base)
		t.putIntent(in)
		t.emit("payment_intent.requires_action", in)
		return in, nil
	}
	return t.collect(in, false)
}

// collect ends an attempt with the decision of the bank.
func (t *tx) collect(in *intent, authenticated bool) (any, *apiError) {
	if in.private.Card.Decline != "" {
		return nil, t.decline(in, in.private.Card.Decline, authenticated)
	}
	ch := newCharge(in, t.now)
	ch.approve(in.manual(), t.now)
	if authenticated {
		ch.authenticated()
	}
	t.authorize(in, ch)
	t.emit("charge.succeeded", ch)
	t.putIntent(in)
	if in.Status == succeeded {
		t.emit("payment_intent.succeeded", in)
		t.disputeByMethod(in, ch)
		return in, nil
	}
	t.emit("payment_intent.amount_capturable_updated", in)
	t.schedule(taskExpire, in.ID, int64(ch.PaymentMethodDetails.Card.CaptureBefore))
	return in, nil
}

// authorize records a charge that the bank approved. Without manual capture it is captured, too.
func (t *tx) authorize(in *intent, ch *charge) {
	if in.manual() {
		ch.PaymentMethodDetails.Card.Multicapture.Status = t.server.multicapture(in)
	} else {
		t.captured(ch, ch.Amount)
	}
	in.authorize(ch)
	t.putCharge(ch)
}

// multicapture returns whether an authorization of the intent can be captured several times.
func (s *Server) multicapture(in *intent) string {
	if o := in.PaymentMethodOptions.Card; s.config.Multicapture && o != nil && o.RequestMulticapture == ifAvailable {
		return available
	}
	return unavailable
}

// decline records that the bank declined. The intent then needs another card.
func (t *tx) decline(in *intent, name string, authenticated bool) *apiError {
	d := declines[name]
	ch := newCharge(in, t.now)
	ch.decline(d)
	if authenticated {
		ch.authenticated()
	}
	problem := in.decline(d, ch.ID, t.now)
	t.putFailure(in, ch)
	return problem
}

// putFailure records an attempt that failed.
func (t *tx) putFailure(in *intent, ch *charge) {
	t.putCharge(ch)
	t.emit("charge.failed", ch)
	t.putIntent(in)
	t.emit("payment_intent.payment_failed", in)
}

// failAuthentication records that the shopper was not authenticated; the bank has not decided.
func (t *tx) failAuthentication(in *intent) {
	_ = in.decline(declines["authentication_fail"], "", t.now) // the intent stores the error, and the page does not show it
	t.putIntent(in)
	t.emit("payment_intent.payment_failed", in)
}
