package payments

import (
	"slices"

	"github.com/stripe/stripe-go/v76"

	"tillstream/events"
)

// setMethods sets the methods with which an intent can be paid. Only some of them can be authorized now and captured later. If the
// payment is captured by the shop and has others too, Stripe captures by itself, and only what is paid by card is captured by the shop
// (docs.stripe.com/payments/place-a-hold-on-a-payment-method). setMethods is called after setCapture.
func setMethods(params *stripe.PaymentIntentParams, p Payment) {
	if p.chosenByStripe() {
		params.AutomaticPaymentMethods = &stripe.PaymentIntentAutomaticPaymentMethodsParams{Enabled: stripe.Bool(true)}
	} else {
		params.PaymentMethodTypes = stripe.StringSlice(p.methods())
	}
	if p.Capture == events.CaptureAutomatic || !slices.ContainsFunc(p.methods(), capturesAtOnce) {
		return
	}
	params.CaptureMethod = stripe.String(string(stripe.PaymentIntentCaptureMethodAutomatic))
	if params.PaymentMethodOptions == nil {
		params.PaymentMethodOptions = &stripe.PaymentIntentPaymentMethodOptionsParams{}
	}
	options, manual := params.PaymentMethodOptions, stripe.String("manual")
	if options.Card == nil {
		options.Card = &stripe.PaymentIntentPaymentMethodOptionsCardParams{}
	}
	options.Card.CaptureMethod = manual
	if slices.Contains(p.methods(), "link") {
		options.Link = &stripe.PaymentIntentPaymentMethodOptionsLinkParams{CaptureMethod: manual}
	}
	if slices.Contains(p.methods(), "paypal") {
		options.Paypal = &stripe.PaymentIntentPaymentMethodOptionsPaypalParams{CaptureMethod: manual}
	}
}

// methodOf returns the type of the method that an intent is paid with, "" if Stripe's answer does not tell. Its charge tells if it is
// expanded.
func methodOf(pi *stripe.PaymentIntent) string {
	switch {
	case pi.LatestCharge != nil && pi.LatestCharge.PaymentMethodDetails != nil && pi.LatestCharge.PaymentMethodDetails.Type != "":
		return string(pi.LatestCharge.PaymentMethodDetails.Type)
	case pi.PaymentMethod != nil && pi.PaymentMethod.Type != "":
		return string(pi.PaymentMethod.Type)
	case len(pi.PaymentMethodTypes) == 1:
		return pi.PaymentMethodTypes[0]
	}
	return ""
}
