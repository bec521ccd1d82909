package sandbox

import (
	"strings"

	"tillstream/events"
)

// createParams are the parameters of Stripe that a creation accepts. The sandbox ignores some of them.
var createParams = []string{
	"amount", "automatic_payment_methods", "capture_method", "confirm", "confirmation_method", "currency", "customer",
	"description", "error_on_requires_action", "expand", "metadata", "off_session", "payment_method",
	"payment_method_data", "payment_method_options", "payment_method_types", "receipt_email", "return_url",
	"setup_future_usage", "shipping", "statement_descriptor", "statement_descriptor_suffix", "transfer_group",
	"use_stripe_sdk",
}

var updateParams = []string{
	"amount", "currency", "customer", "description", "expand", "metadata", "payment_method", "payment_method_data",
	"payment_method_options", "receipt_email", "setup_future_usage", "shipping", "statement_descriptor", "statement_descriptor_suffix",
	"transfer_group",
}

// createIntent answers POST /v1/payment_intents.
func createIntent(t *tx, c *call) (any, *apiError) {
	in := newIntent(t.now)
	if problem := in.readCreation(c.form); problem != nil {
		return nil, problem
	}
	if problem := in.readCommon(c.form); problem != nil {
		return nil, problem
	}
	attempt, problem := readAttempt(c.form, t.now)
	if problem != nil {
		return nil, problem
	}
	confirm, problem := c.form.boolean("confirm")
	if problem != nil {
		return nil, problem
	}
	if confirm && attempt.means == nil {
		return nil, missing("payment_method")
	}
	if problem := in.accepts(attempt.means); problem != nil {
		return nil, problem
	}
	if attempt.means != nil {
		in.use(attempt.means)
	}
	t.putIntent(in)
	t.emit("payment_intent.created", in)
	if !confirm {
		return in, nil
	}
	return t.attempt(c, in, attempt)
}

// readCreation reads the parameters that cannot be changed later.
func (in *intent) readCreation(f form) (problem *apiError) {
	for _, name := range []string{"amount", "currency"} {
		if f[name] == "" {
			return missing(name)
		}
	}
	if in.CaptureMethod, problem = f.oneOf("capture_method", captureAutomatic, captureAutomaticAsync, captureManual); problem != nil {
		return problem
	}
	if in.ConfirmationMethod, problem = f.oneOf("confirmation_method", "automatic", "manual"); problem != nil {
		return problem
	}
	in.Currency = strings.ToLower(f["currency"])
	return in.readMethodTypes(f)
}

// debitCurrency is the only currency of SEPA Direct Debit.
const debitCurrency = "eur"

func (in *intent) readMethodTypes(f form) *apiError {
	enabled, problem := f.boolean("automatic_payment_methods[enabled]")
	if problem != nil {
		return problem
	}
	redirects, problem := f.oneOf("automatic_payment_methods[allow_redirects]", "always", "never")
	if problem != nil {
		return problem
	}
	in.PaymentMethodTypes = f.list("payment_method_types")
	if enabled {
		if len(in.PaymentMethodTypes) > 0 {
			return invalid("payment_method_types", "parameters_exclusive", "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.")
		}
		in.AutomaticPaymentMethods = &automaticMethods{AllowRedirects: redirects, Enabled: true}
	}
	if len(in.PaymentMethodTypes) == 0 {
		in.PaymentMethodTypes = []string{methodCard}
		if enabled && in.Currency == debitCurrency && in.CaptureMethod != captureManual {
			in.PaymentMethodTypes = append(in.PaymentMethodTypes, methodDebit)
		}
	}
	for _, kind := range in.PaymentMethodTypes {
		switch {
		case kind != methodCard && kind != methodDebit:
			return invalid("payment_method_types", "payment_intent_invalid_parameter", "The sandbox has the payment methods card and sepa_debit; it does not have %s.", kind)
		case kind == methodDebit && in.Currency != debitCurrency:
			return invalid("payment_method_types", "payment_intent_invalid_parameter", "The currency provided (%s) is invalid for one or more payment method types on this PaymentIntent: sepa_debit.", in.Currency)
		case kind == methodDebit && in.CaptureMethod == captureManual:
			return invalid("capture_method", "payment_intent_invalid_parameter", "The payment method type sepa_debit does not support capture_method manual.")
		}
	}
	return nil
}

// readCommon reads the parameters that creation and update share.
func (in *intent) readCommon(f form) (problem *apiError) {
	if in.Metadata, problem = f.metadata(in.Metadata); problem != nil {
		return problem
	}
	if problem := in.readAmount(f); problem != nil {
		return problem
	}
	if problem := in.readOptions(f); problem != nil {
		return problem
	}
	fields := map[string]*text{
		"customer": &in.Customer, "description": &in.Description, "receipt_email": &in.ReceiptEmail,
		"setup_future_usage": &in.SetupFutureUsage, "statement_descriptor": &in.StatementDescriptor,
		"statement_descriptor_suffix": &in.StatementDescriptorSuffix, "transfer_group": &in.TransferGroup,
	}
	for name, field := range fields {
		if f.has(name) {
			*field = text(f[name])
		}
	}
	if s := readShipping(f); s != nil {
		in.Shipping = s
	}
	return nil
}

func (in *intent) readAmount(f form) *apiError {
	if f.has("currency") {
		in.Currency = strings.ToLower(f["currency"])
	}
	if len(in.Currency) != 3 || strings.Trim(in.Currency, "abcdefghijklmnopqrstuvwxyz") != "" {
		return invalid("currency", "", "Invalid currency: %s.", in.Currency)
	}
	amount, sent, problem := f.integer("amount")
	if problem != nil {
		return problem
	}
	if sent {
		in.Amount = amount
	}
	limit := events.ChargeLimits(nil).For(strings.ToUpper(in.Currency))
	switch {
	case in.Amount < 1:
		return invalid("amount", "parameter_invalid_integer", "This value must be greater than or equal to 1.")
	case in.Amount < limit.Min:
		return invalid("amount", "amount_too_small", "Amount must be at least %d %s", limit.Min, in.Currency)
	case in.Amount > limit.Max:
		return invalid("amount", "amount_too_large", "Amount must be no more than %d %s", limit.Max, in.Currency)
	case in.Amount%limit.Step != 0:
		return invalid("amount", "parameter_invalid_integer", "Amount must be a multiple of %d in %s", limit.Step, in.Currency)
	}
	return nil
}

// updateIntent answers POST /v1/payment_intents/{id}.
func updateIntent(t *tx, c *call) (any, *apiError) {
	in, problem := t.findIntent(c)
	if problem != nil {
		return nil, problem
	}
	amountChanges := c.form.has("amount") || c.form.has("currency")
	if amountChanges && !in.confirmable() {
		return nil, unexpectedState(in, "This PaymentIntent's amount could not be updated because it has a status of %s.", in.Status)
	}
	if problem := in.readCommon(c.form); problem != nil {
		return nil, problem
	}
	fresh, problem := readMeans(c.form, t.now)
	if problem == nil {
		problem = in.accepts(fresh)
	}
	if problem != nil {
		return nil, problem
	}
	if fresh != nil {
		if !in.confirmable() {
			return nil, unexpectedState(in, "This PaymentIntent's payment_method could not be updated because it has a status of %s.", in.Status)
		}
		in.use(fresh)
	}
	t.putIntent(in)
	return in, nil
}
