package payments

import (
	"errors"
	"fmt"
	"slices"

	"tillstream/events"
)

// Terms are the settings of the shop that a payment keeps from its request on.
type Terms struct {
	Capture string   // when the money is captured: one of the Capture constants of package events; "" is CaptureAtConfirmation
	Methods []string // Stripe's types of payment methods that the shopper may use; none: cards
}

// terms returns the terms of new payments.
func (c Config) terms() Terms { return Terms{Capture: c.Capture, Methods: c.Methods} }

func (t Terms) validate() error {
	if modes := []string{events.CaptureAutomatic, events.CaptureAtConfirmation, events.CaptureAtFulfilment}; !slices.Contains(modes, t.Capture) {
		return fmt.Errorf("payments: Config.Capture is %q, want one of %v", t.Capture, modes)
	}
	return t.validateMethods()
}

var (
	// ErrAuthorizationGone is returned for the capture of a payment whose authorization has ended. The goods are sent: staff must ask
	// the shopper for the money.
	ErrAuthorizationGone = errors.New("the authorization of the payment has ended")
	// ErrEarlierPart is returned for the capture of a part while the parts before it are not captured. The capture is tried again.
	ErrEarlierPart = errors.New("an earlier part is not captured yet")
)

// cancelledByStripe is the reason with which Stripe cancels an intent whose authorization has expired
// (docs.stripe.com/api/payment_intents/object#payment_intent_object-cancellation_reason).
const cancelledByStripe = "automatic"

// authorizes reports whether a status tells that an authorization begins or ends.
func (s IntentStatus) authorizes() bool { return s == IntentRequiresCapture || s == IntentCanceled }

// Part is the part of an authorization that one request captures.
type Part struct {
	Key    string       // names the request among those of its payment
	Amount events.Money // to capture with this request
	More   bool         // the rest stays authorized; else Stripe releases it
}

// Whole returns the part that is the whole authorization, which is captured only once.
func (p Payment) Whole() Part { return Part{Key: "v1", Amount: p.Amount} }

// matchMoney refuses an intent with another amount authorized or captured than the payment can have. Only with
// [events.CaptureAtFulfilment] less than the requested amount may be captured.
func matchMoney(p Payment, in Intent) error {
	parts := p.Capture == events.CaptureAtFulfilment
	switch {
	case in.Received < 0 || in.Received > p.Amount.Amount:
		return fmt.Errorf("%w: intent %s has %d captured, requested was %s", ErrMismatch, in.ID, in.Received, p.Amount)
	case in.Status == IntentRequiresCapture && (in.Capturable != p.Amount.Amount-in.Received || in.Received > 0 && !parts):
		return fmt.Errorf("%w: intent %s has %d capturable and %d captured, requested was %s", ErrMismatch, in.ID, in.Capturable, in.Received, p.Amount)
	case in.Status == IntentCanceled && in.Received > 0 && !parts, in.Status == IntentSucceeded && (in.Received == 0 || in.Received < p.Amount.Amount && !parts):
		return fmt.Errorf("%w: intent %s has %d captured, requested was %s", ErrMismatch, in.ID, in.Received, p.Amount)
	}
	return nil
}

// captured records what is captured so far, each amount once. If the order has ended in the meantime, the same commit requests a
// refund.
func captured(p Payment, in Intent) []events.Payload {
	amount, more := events.Money{Amount: in.Received, Currency: p.Amount.Currency}, in.Status == IntentRequiresCapture
	known := amount.Amount == p.Captured.Amount && (more || !p.CaptureMore)
	if amount.Amount == 0 || amount.Amount < p.Captured.Amount || known {
		return nil
	}
	facts := []events.Payload{events.PaymentCaptured{OrderID: p.OrderID, PaymentID: p.ID, PaymentIntent: in.ID, Charge: in.Charge, Amount: amount, More: more}}
	if p.Captured.IsZero() && (p.CancelForce || p.Failure != nil || p.Cancelled) {
		facts = append(facts, refundRemainder(p, amount, "captured after the order had ended"))
	}
	return facts
}

// PartFor returns the part of the authorization that is captured for a parcel. wanted is false if it is captured already, or if
// nothing is captured at fulfilment. Without several captures the first parcel captures all that is due, because the authorization
// ends with it; else each captures its own price. PartFor returns [ErrUnmatched], [ErrAuthorizationGone] and [ErrEarlierPart].
func PartFor(p Payment, r events.OrderFulfilmentCreated) (part Part, wanted bool, err error) {
	if !p.Exists() {
		return Part{}, false, fmt.Errorf("%w: capture of a payment that was never requested", ErrUnmatched)
	}
	if p.Capture != events.CaptureAtFulfilment {
		return Part{}, false, nil
	}
	all, err := p.Amount.Sub(events.Money{Amount: r.Released.Amount, Currency: p.Amount.Currency})
	if err != nil {
		return Part{}, false, err
	}
	key, target, before := "v1", all.Amount, int64(0)
	if p.Multicapture {
		key, target, before = r.FulfilmentID, r.Due.Amount, r.Due.Amount-r.Amount.Amount
	}
	switch {
	case target < 0 || target > all.Amount:
		return Part{}, false, fmt.Errorf("%w: fulfilment %s makes %d due of %s", ErrMismatch, r.FulfilmentID, target, all)
	case p.Captured.Amount >= target && (target < all.Amount || !p.CaptureMore):
		return Part{}, false, nil
	case p.Cancelled, p.CancelForce, p.Failure != nil, !p.Captured.IsZero() && !p.CaptureMore:
		return Part{}, false, fmt.Errorf("%w: payment %s is %s with %s captured of %d due", ErrAuthorizationGone, p.ID, p.Status(), p.Captured, target)
	case p.Captured.Amount < before:
		return Part{}, false, fmt.Errorf("%w: %s is captured of %d that were due before fulfilment %s", ErrEarlierPart, p.Captured, before, r.FulfilmentID)
	}
	amount := events.Money{Amount: max(0, target-p.Captured.Amount), Currency: p.Amount.Currency} // 0 releases the rest
	return Part{Key: key, Amount: amount, More: target < all.Amount}, true, nil
}
