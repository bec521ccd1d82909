package payments

import (
	"context"
	"time"

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

// Capture implements [Gateway]. An error that Stripe replays for a part which is not the last one is not bypassed without a key, as
// [bypassReplay] does: Stripe would capture the part a second time. A second key is used, which can take effect only once, and the
// lane has retrieved the intent before it repeats a request.
func (g *stripeGateway) Capture(ctx context.Context, p Payment, part Part) (Intent, error) {
	key := p.ID + "/capture/" + part.Key
	call := func(params stripe.Params) (*stripe.PaymentIntent, error) {
		capture := &stripe.PaymentIntentCaptureParams{Params: params, AmountToCapture: stripe.Int64(part.Amount.Amount)}
		if part.More {
			capture.FinalCapture = stripe.Bool(false)
		}
		return g.intents.Capture(p.PaymentIntent, capture)
	}
	if !part.More {
		pi, err := bypassReplay(ctx, key, call)
		return intentOrError(ctx, pi, err, opCapture, p.PaymentIntent)
	}
	pi, err := call(idempotent(ctx, key))
	if needsNewKey(err) {
		pi, err = call(idempotent(ctx, key+"/again"))
	}
	return intentOrError(ctx, pi, err, opCapture, p.PaymentIntent)
}

// authorizationOf returns what an expanded charge tells about its authorization: when it expires (docs.stripe.com/api/charges/object,
// payment_method_details.card.capture_before) and whether parts of it can be captured one after the other.
func authorizationOf(charge *stripe.Charge) (captureBefore time.Time, multicapture bool) {
	if charge.PaymentMethodDetails == nil || charge.PaymentMethodDetails.Card == nil {
		return time.Time{}, false
	}
	card := charge.PaymentMethodDetails.Card
	if card.CaptureBefore > 0 {
		captureBefore = time.Unix(card.CaptureBefore, 0).UTC()
	}
	return captureBefore, card.Multicapture != nil && card.Multicapture.Status == stripe.ChargePaymentMethodDetailsCardMulticaptureStatusAvailable
}
