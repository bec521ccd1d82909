package payments

import (
	"github.com/stripe/stripe-go/v76"

	"tillstream/events"
)

// setCapture sets when an intent captures its amount (docs.stripe.com/payments/place-a-hold-on-a-payment-method). With
// [events.CaptureAtFulfilment] it asks for several captures, which Stripe grants by card and by contract
// (docs.stripe.com/payments/multicapture); the charge tells whether it did.
func setCapture(params *stripe.PaymentIntentParams, capture string) {
	switch capture {
	case events.CaptureAutomatic:
		params.CaptureMethod = stripe.String(string(stripe.PaymentIntentCaptureMethodAutomatic))
	case events.CaptureAtFulfilment:
		params.CaptureMethod = stripe.String(string(stripe.PaymentIntentCaptureMethodManual))
		params.PaymentMethodOptions = &stripe.PaymentIntentPaymentMethodOptionsParams{Card: &stripe.PaymentIntentPaymentMethodOptionsCardParams{
			RequestMulticapture: stripe.String(string(stripe.PaymentIntentPaymentMethodOptionsCardRequestMulticaptureIfAvailable))}}
	default:
		params.CaptureMethod = stripe.String(string(stripe.PaymentIntentCaptureMethodManual))
	}
}
