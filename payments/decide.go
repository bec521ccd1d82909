package payments

import (
	"errors"
	"fmt"

	"tillstream/events"
)

var (
	// ErrUnmatched is returned for a Stripe object that does not belong to the payment that it names.
	ErrUnmatched = errors.New("unmatched")
	// ErrMismatch is returned when amount, currency or mode differ from those requested. The order is never fulfilled.
	ErrMismatch = errors.New("mismatch")
	// ErrUnknownStatus is returned for a status that this program does not know. A guess could lose money, so staff must decide.
	ErrUnknownStatus = errors.New("unknown status")
	// ErrRefundTooLarge is returned when the refunds would exceed the captured amount.
	ErrRefundTooLarge = errors.New("refund exceeds the captured amount")
	// ErrRefundConflict is returned for a refund id that was used for another amount.
	ErrRefundConflict = errors.New("refund id already used for another amount")
	// ErrInvalid is returned for a request without a positive amount or a currency.
	ErrInvalid = errors.New("invalid payment")
)

// Request requests the payment of an order under the terms of the shop. A repeated request changes nothing, and is [ErrMismatch]
// for another amount.
func Request(p Payment, order events.OrderAwaitingPayment, terms Terms) ([]events.Payload, error) {
	if p.Exists() {
		if p.Amount != order.Amount {
			return nil, fmt.Errorf("%w: order %s requests %s, earlier it was %s", ErrMismatch, order.OrderID, order.Amount, p.Amount)
		}
		return nil, nil
	}
	if order.Amount.Amount <= 0 || len(order.Amount.Currency) != 3 {
		return nil, fmt.Errorf("%w: order %s requests %s", ErrInvalid, order.OrderID, order.Amount)
	}
	return []events.Payload{events.PaymentRequested{OrderID: order.OrderID, PaymentID: order.PaymentID, Number: order.Number, Amount: order.Amount,
		ExpiresAt: order.ExpiresAt, Shopper: order.Shopper, Capture: terms.Capture, Methods: terms.methodsFor(order.Amount)}}, nil
}

// Fail ends a payment whose intent Stripe refuses to create.
func Fail(p Payment, code, message string) []events.Payload {
	if !p.Exists() || p.PaymentIntent != "" || p.Failure != nil || p.Cancelled {
		return nil
	}
	return []events.Payload{events.PaymentFailed{OrderID: p.OrderID, PaymentID: p.ID, Code: code, Message: message}}
}

// RecordIntent returns the facts that an intent adds to a payment. The intent may be old or recorded already. live is the mode
// of the shop. It returns [ErrUnmatched], [ErrMismatch] or [ErrUnknownStatus].
func RecordIntent(p Payment, in Intent, live bool) ([]events.Payload, error) {
	if err := match(p, in, live); err != nil {
		return nil, err
	}
	facts := adoptIntent(p, in)
	switch in.Status {
	case IntentRequiresPaymentMethod, IntentRequiresConfirmation:
		return append(facts, declined(p, in)...), nil
	case IntentRequiresAction:
		return append(facts, waiting(p, StatusRequiresAction, events.PaymentActionRequired{OrderID: p.OrderID, PaymentID: p.ID, PaymentIntent: in.ID})...), nil
	case IntentProcessing:
		return append(facts, waiting(p, StatusProcessing, events.PaymentProcessing{OrderID: p.OrderID, PaymentID: p.ID, PaymentIntent: in.ID, Method: p.methodOf(in)})...), nil
	case IntentRequiresCapture:
		return append(append(facts, authorized(p, in)...), captured(p, in)...), nil
	case IntentSucceeded:
		return append(facts, captured(p, in)...), nil
	case IntentCanceled:
		return append(append(facts, captured(p, in)...), cancelled(p, in)...), nil
	}
	return nil, fmt.Errorf("%w: intent %s has status %.40q", ErrUnknownStatus, in.ID, in.Status)
}

// RecordReport is RecordIntent for an intent that an event of Stripe reports. It adds nothing that confirms the order or cancels a
// confirmed one: no capture, and with [events.CaptureAtFulfilment] no authorization and no end of it; nor does it begin or end the
// processing by a bank that needs days. The lane retrieves the intent first and records Stripe's own answer.
func RecordReport(p Payment, in Intent, live bool) ([]events.Payload, error) {
	facts, err := RecordIntent(p, in, live)
	if err != nil || in.Status != IntentSucceeded && p.believesStep(in) && (p.Capture != events.CaptureAtFulfilment || !in.Status.authorizes()) {
		return facts, err
	}
	return adoptIntent(p, in), nil
}

// LimitDeclines returns facts and, if they include the decline that reaches the limit, the request to cancel the payment: whoever
// tries that many cards tests stolen ones. An authorization that the bank grants in the meantime is kept.
func LimitDeclines(p Payment, facts []events.Payload, limit int) []events.Payload {
	count := len(p.Declines)
	for _, fact := range facts {
		if _, ok := fact.(events.PaymentDeclined); ok {
			count++
		}
	}
	if count == len(p.Declines) || count < limit || p.CancelRequested || p.attemptsOver() {
		return facts
	}
	return append(facts, events.PaymentCancelRequested{OrderID: p.OrderID, PaymentID: p.ID, Reason: events.CancelDeclinedTooOften})
}

// match refuses an intent of another payment, or with another amount or mode.
func match(p Payment, in Intent, live bool) error {
	switch {
	case !p.Exists():
		return fmt.Errorf("%w: intent %s names payment %.80q, which was never requested", ErrUnmatched, in.ID, in.PaymentID)
	case in.PaymentID != p.ID || in.OrderID != p.OrderID:
		return fmt.Errorf("%w: intent %s names payment %.80q of order %.80q, not %s of %s", ErrUnmatched, in.ID, in.PaymentID, in.OrderID, p.ID, p.OrderID)
	case p.PaymentIntent != "" && in.ID != p.PaymentIntent:
		return fmt.Errorf("%w: payment %s has intent %s, not %s", ErrUnmatched, p.ID, p.PaymentIntent, in.ID)
	case in.Livemode != live:
		return fmt.Errorf("%w: intent %s has livemode %t, the shop %t", ErrMismatch, in.ID, in.Livemode, live)
	case in.Amount != p.Amount:
		return fmt.Errorf("%w: intent %s has amount %s, requested was %s", ErrMismatch, in.ID, in.Amount, p.Amount)
	}
	return matchMoney(p, in)
}

// adoptIntent records the id of an intent that the payment does not have yet: it was just created, or the process that created
// it died before it stored the answer. If the payment has ended in the meantime, adoptIntent requests that the intent is
// cancelled.
func adoptIntent(p Payment, in Intent) []events.Payload {
	if p.PaymentIntent != "" {
		return nil
	}
	facts := []events.Payload{events.PaymentIntentCreated{OrderID: p.OrderID, PaymentID: p.ID, PaymentIntent: in.ID, Amount: in.Amount, Livemode: in.Livemode}}
	if (p.Cancelled || p.Failure != nil) && in.Status != IntentCanceled {
		facts = append(facts, events.PaymentCancelRequested{OrderID: p.OrderID, PaymentID: p.ID, Force: true, Reason: "the payment had ended before its intent was known"})
	}
	return facts
}

func declined(p Payment, in Intent) []events.Payload {
	if in.LastError == nil || in.LastError.Fact == "" {
		return nil
	}
	if _, known := p.Declines[in.LastError.Fact]; known {
		return nil
	}
	last := in.LastError
	facts := []events.Payload{events.PaymentDeclined{OrderID: p.OrderID, PaymentID: p.ID, PaymentIntent: in.ID, Fact: last.Fact,
		Code: last.Code, DeclineCode: last.DeclineCode, Message: last.Message}}
	if p.CancelRequested && p.Waiting == StatusProcessing { // Stripe could not cancel it then
		facts = append(facts, events.PaymentCancelRequested{OrderID: p.OrderID, PaymentID: p.ID, Force: p.CancelForce, Reason: "the bank has not paid"})
	}
	return facts
}

func waiting(p Payment, status Status, fact events.Payload) []events.Payload {
	if p.attemptsOver() || p.Waiting == status {
		return nil
	}
	return []events.Payload{fact}
}

// authorized adds nothing to a cancelled payment: the report is older than the cancellation, and with the fact the order would
// wait for a capture that never happens.
func authorized(p Payment, in Intent) []events.Payload {
	if !p.Authorized.IsZero() || !p.Captured.IsZero() || p.Cancelled {
		return nil
	}
	return []events.Payload{events.PaymentAuthorized{OrderID: p.OrderID, PaymentID: p.ID, PaymentIntent: in.ID, Charge: in.Charge, Amount: p.Amount,
		Capture: p.Capture, ExpiresAt: in.CaptureBefore, Multicapture: in.Multicapture}}
}

func cancelled(p Payment, in Intent) []events.Payload {
	if p.CancelledIntent || !p.Captured.IsZero() || in.Received > 0 {
		return nil
	}
	reason := in.Cancellation
	switch {
	case p.OverDeclined:
		reason = events.CancelDeclinedTooOften
	case reason == cancelledByStripe && !p.CancelRequested:
		reason = events.CancelAuthorizationExpired
	}
	return []events.Payload{events.PaymentCancelled{OrderID: p.OrderID, PaymentID: p.ID, PaymentIntent: in.ID, Reason: reason}}
}

// ShouldCapture reports whether an accepted authorization must be captured: not twice, and not after the payment has ended.
func ShouldCapture(p Payment, amount events.Money) (bool, error) {
	switch {
	case !p.Exists():
		return false, fmt.Errorf("%w: capture of a payment that was never requested", ErrUnmatched)
	case amount != p.Amount:
		return false, fmt.Errorf("%w: order %s accepts %s, requested was %s", ErrMismatch, p.OrderID, amount, p.Amount)
	}
	return p.Captured.IsZero() && !p.Cancelled && !p.CancelForce && p.Failure == nil, nil
}

// Cancel cancels the payment of an order that has ended. With force an authorization is released and captured money is
// refunded. Without force, a payment made at the last moment is kept and reported to the order, which may still get the
// stock.
func Cancel(p Payment, force bool, reason string) ([]events.Payload, error) {
	switch {
	case !p.Exists(), p.Cancelled, p.Failure != nil && p.PaymentIntent == "":
		return nil, nil
	case p.CancelRequested && (p.CancelForce || !force):
		return nil, nil
	}
	request := events.PaymentCancelRequested{OrderID: p.OrderID, PaymentID: p.ID, Force: force, Reason: reason}
	switch {
	case !p.Captured.IsZero() && !force:
		return nil, nil // the order handles payments.captured and decides about the money
	case !p.Captured.IsZero():
		left, err := p.refundable()
		if err != nil || left.Amount <= 0 {
			return []events.Payload{request}, err
		}
		return []events.Payload{request, refundRemainder(p, left, reason)}, nil
	case p.PaymentIntent == "":
		return []events.Payload{request, events.PaymentCancelled{OrderID: p.OrderID, PaymentID: p.ID, Reason: reason}}, nil
	}
	return []events.Payload{request}, nil
}

// refundRemainder refunds the rest of a payment whose order has ended. Its fixed id makes it the only one per payment.
func refundRemainder(p Payment, amount events.Money, reason string) events.Payload {
	return events.PaymentRefundRequested{OrderID: p.OrderID, PaymentID: p.ID, RefundID: p.ID + "-void", Amount: amount, Reason: reason}
}
