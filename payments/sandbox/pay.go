package sandbox

import (
	"maps"
	"slices"
	"time"
)

var (
	confirmParams = []string{
		"capture_method", "client_secret", "error_on_requires_action", "expand", "mandate_data", "off_session",
		"payment_method", "payment_method_data", "payment_method_options", "receipt_email", "return_url",
		"setup_future_usage", "shipping", "use_stripe_sdk",
	}
	captureParams = []string{"amount_to_capture", "expand", "metadata", "statement_descriptor", "statement_descriptor_suffix"}
	cancelParams  = []string{"cancellation_reason", "expand"}
)

// attempt has the parameters of an attempt to pay.
type attempt struct {
	card       *card // nil for the intent's own card
	returnURL  string
	offSession bool // the shopper is not present and cannot authenticate
}

func readAttempt(f form, now time.Time) (a attempt, problem *apiError) {
	if a.card, problem = readCard(f, now); problem != nil {
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
	switch {
	case a.card != nil:
		in.use(a.card)
	case in.private.Card == nil:
		return nil, unexpectedState(in, "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method.")
	}
	return t.attempt(c, in, a)
}

// attempt pays with the intent's card, up to the authentication of the shopper if the card needs that.
func (t *tx) attempt(c *call, in *intent, a attempt) (any, *apiError) {
	if a.returnURL != "" {
		in.private.ReturnURL = a.returnURL
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
	ch.approve(in.CaptureMethod == captureManual, t.now)
	if authenticated {
		ch.authenticated()
	}
	in.authorize(ch)
	t.putCharge(ch)
	t.emit("charge.succeeded", ch)
	t.putIntent(in)
	if in.Status == succeeded {
		t.emit("payment_intent.succeeded", in)
	} else {
		t.emit("payment_intent.amount_capturable_updated", in)
	}
	return in, nil
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
	t.putCharge(ch)
	t.emit("charge.failed", ch)
	t.putIntent(in)
	t.emit("payment_intent.payment_failed", in)
	return problem
}

// failAuthentication records that the shopper was not authenticated; the bank has not decided.
func (t *tx) failAuthentication(in *intent) {
	_ = in.decline(declines["authentication_fail"], "", t.now) // the intent stores the error, and the page does not show it
	t.putIntent(in)
	t.emit("payment_intent.payment_failed", in)
}

// captureIntent answers POST /v1/payment_intents/{id}/capture.
func captureIntent(t *tx, c *call) (any, *apiError) {
	in, problem := t.findIntent(c)
	if problem != nil {
		return nil, problem
	}
	amount, sent, problem := c.form.integer("amount_to_capture")
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
	if !sent {
		amount = in.AmountCapturable
	}
	if amount < 1 {
		return nil, invalid("amount_to_capture", "parameter_invalid_integer", "This value must be greater than or equal to 1.")
	}
	if amount > in.AmountCapturable {
		return nil, invalid("amount_to_capture", "amount_too_large", "The amount to capture (%d %s) is greater than the amount that can be captured (%d %s).", amount, in.Currency, in.AmountCapturable, in.Currency)
	}
	in.Metadata = metadata
	ch := t.charge(string(in.LatestCharge))
	ch.capture(amount)
	in.capture(amount)
	t.putCharge(ch)
	t.emit("charge.captured", ch)
	t.putIntent(in)
	t.emit("payment_intent.succeeded", in)
	return in, nil
}

// cancelIntent answers POST /v1/payment_intents/{id}/cancel. It releases an authorization, which Stripe reports as a refund of
// the uncaptured charge.
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
	if in.Status == requiresCapture {
		ch := t.charge(string(in.LatestCharge))
		ch.release()
		t.putCharge(ch)
		t.emit("charge.refunded", ch)
	}
	in.cancel(reason, t.now)
	t.putIntent(in)
	t.emit("payment_intent.canceled", in)
	return in, nil
}

// balance is the shop's money by currency.
type balance struct {
	Object    string          `json:"object"`
	Available []balanceAmount `json:"available"`
	Livemode  bool            `json:"livemode"`
	Pending   []balanceAmount `json:"pending"`
}

type balanceAmount struct {
	Amount      int64            `json:"amount"`
	Currency    string           `json:"currency"`
	SourceTypes map[string]int64 `json:"source_types"`
}

// getBalance answers GET /v1/balance: the captured less the refunded money. The sandbox takes no fees and pays nothing out.
func getBalance(t *tx, _ *call) (any, *apiError) {
	shown := &balance{Object: "balance", Available: []balanceAmount{}, Pending: []balanceAmount{}}
	for _, currency := range slices.Sorted(maps.Keys(t.server.funds)) {
		amount := t.server.funds[currency]
		shown.Available = append(shown.Available, balanceAmount{
			Amount: amount, Currency: currency, SourceTypes: map[string]int64{"card": amount},
		})
	}
	return shown, nil
}
