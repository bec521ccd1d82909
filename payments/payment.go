package payments

import (
	"fmt"
	"maps"
	"time"

	"tillstream/events"
)

// Status is where a payment stands, in the words of the API.
type Status string

// The statuses of a payment; doc.go draws how they follow.
const (
	StatusRequested      Status = "requested"
	StatusIntentCreated  Status = "intent_created"
	StatusRequiresAction Status = "requires_action"
	StatusProcessing     Status = "processing"
	StatusAuthorized     Status = "authorized"
	StatusCaptured       Status = "captured"
	StatusFailed         Status = "failed"
	StatusCancelled      Status = "cancelled"
	StatusRefunded       Status = "refunded"
	StatusPartlyRefunded Status = "partly_refunded"
)

// Payment is what is known about one payment of an order: a set of facts. In whatever order and however often the facts
// of Stripe arrive, what is authorised, captured, cancelled and refunded ends up the same, because each is a member of
// a set and none is ever added up twice or taken back.
//
// The only fields that remember the order of arrival are Waiting and LastError. They tell the shopper what is going on
// between two attempts, move no money, and are empty as soon as an attempt has succeeded or the payment has ended.
type Payment struct {
	ID        string       `json:"id"`
	OrderID   string       `json:"order_id"`
	Number    string       `json:"number"`
	Amount    events.Money `json:"amount"`
	ExpiresAt time.Time    `json:"expires_at"`

	PaymentIntent string `json:"payment_intent,omitempty"`
	Livemode      bool   `json:"livemode"`
	Charge        string `json:"charge,omitempty"`

	Waiting   Status             `json:"waiting,omitempty"` // StatusRequiresAction, StatusProcessing, or ""
	LastError *Decline           `json:"last_error,omitempty"`
	Declines  map[string]Decline `json:"declines,omitempty"` // by fact, so that each attempt counts once

	Authorized      events.Money      `json:"authorized,omitzero"`
	Captured        events.Money      `json:"captured,omitzero"`
	CancelRequested bool              `json:"cancel_requested,omitempty"`
	CancelForce     bool              `json:"cancel_force,omitempty"`
	Cancelled       bool              `json:"cancelled,omitempty"`
	CancelledIntent bool              `json:"cancelled_intent,omitempty"` // Stripe said so about our intent
	Failure         *Decline          `json:"failure,omitempty"`
	Refunds         map[string]Refund `json:"refunds,omitempty"` // by our refund id

	RequestedAt time.Time `json:"requested_at,omitzero"`
	UpdatedAt   time.Time `json:"updated_at,omitzero"`
}

// Decline is why an attempt to pay, or the whole payment, came to nothing.
type Decline struct {
	Code        string `json:"code"`
	DeclineCode string `json:"decline_code,omitempty"`
	Message     string `json:"message"`
}

// Refund is money on its way back, there (Succeeded), or stuck (Failed). A bank can return a refund days after it was
// made; then it did not happen, so Failed ends Succeeded and never the other way round.
type Refund struct {
	Amount       events.Money `json:"amount"`
	StripeRefund string       `json:"stripe_refund,omitempty"`
	Succeeded    bool         `json:"succeeded,omitempty"`
	Failed       bool         `json:"failed,omitempty"`
	Reason       string       `json:"reason,omitempty"`
}

// Exists reports whether anything was ever said about the payment.
func (p Payment) Exists() bool { return p.ID != "" }

// Refunded is how much money the shopper has back.
func (p Payment) Refunded() (events.Money, error) {
	return p.sumRefunds(func(r Refund) bool { return r.Succeeded })
}

// refunding is how much money the shopper has back or will have: what a further refund must leave alone.
func (p Payment) refunding() (events.Money, error) {
	return p.sumRefunds(func(r Refund) bool { return !r.Failed })
}

func (p Payment) sumRefunds(counts func(Refund) bool) (events.Money, error) {
	sum := events.Money{Currency: p.Amount.Currency}
	for id, refund := range p.Refunds {
		if !counts(refund) {
			continue
		}
		var err error
		if sum, err = sum.Add(refund.Amount); err != nil {
			return events.Money{}, fmt.Errorf("refund %s of payment %s: %w", id, p.ID, err)
		}
	}
	return sum, nil
}

// Status names where the payment stands: the furthest that any of its facts takes it.
func (p Payment) Status() Status {
	switch {
	case !p.Exists():
		return ""
	case !p.Captured.IsZero():
		return p.capturedStatus()
	case p.Failure != nil:
		return StatusFailed
	case p.Cancelled:
		return StatusCancelled
	case !p.Authorized.IsZero():
		return StatusAuthorized
	case p.Waiting != "":
		return p.Waiting
	case p.PaymentIntent != "":
		return StatusIntentCreated
	}
	return StatusRequested
}

func (p Payment) capturedStatus() Status {
	refunded, err := p.Refunded()
	switch {
	case err != nil || refunded.Amount <= 0: // Apply refuses what would not add up
		return StatusCaptured
	case refunded.Amount < p.Captured.Amount:
		return StatusPartlyRefunded
	}
	return StatusRefunded
}

// Open reports whether Stripe may still say something that the shop waits for.
func (p Payment) Open() bool {
	switch p.Status() {
	case StatusRequested, StatusIntentCreated, StatusRequiresAction, StatusProcessing, StatusAuthorized:
		return true
	}
	return false
}

// Payable reports whether the shopper can still do something about the payment, for which a browser needs its secret.
func (p Payment) Payable() bool {
	return p.PaymentIntent != "" && p.Open()
}

// Apply folds one fact into a payment. It copies what it changes. An event of Stripe as it was webhooksStored is passed over: it
// says nothing about the payment that a decision has not stated as a fact of its own.
func (p Payment) Apply(e events.Event) (Payment, error) {
	switch fact := e.Payload.(type) {
	case events.WebhookReceived:
		return p, nil
	case events.PaymentRequested:
		p.ID, p.OrderID, p.Number = fact.PaymentID, fact.OrderID, fact.Number
		p.Amount, p.ExpiresAt, p.RequestedAt = fact.Amount, fact.ExpiresAt, e.Time
	case events.PaymentIntentCreated:
		p.PaymentIntent, p.Livemode = fact.PaymentIntent, fact.Livemode
	case events.PaymentActionRequired:
		p = p.setWaiting(StatusRequiresAction)
	case events.PaymentProcessing:
		p = p.setWaiting(StatusProcessing)
	case events.PaymentDeclined:
		p = p.decline(fact)
	case events.PaymentAuthorized:
		p.Authorized = fact.Amount
		p = p.endAttempts(fact.Charge)
	case events.PaymentCaptured:
		p.Authorized, p.Captured = fact.Amount, fact.Amount // what is taken was authorised, whether we heard of it or not
		p = p.endAttempts(fact.Charge)
	case events.PaymentCancelRequested:
		p.CancelRequested, p.CancelForce = true, p.CancelForce || fact.Force
	case events.PaymentCancelled:
		p.Cancelled, p.CancelledIntent = true, p.CancelledIntent || fact.PaymentIntent != ""
		p.Authorized, p.Charge = events.Money{}, "" // an authorisation that was let go is none
		p = p.endAttempts("")
	case events.PaymentFailed:
		p.Failure = &Decline{Code: fact.Code, Message: fact.Message}
		p = p.endAttempts("")
	case events.PaymentRefundRequested, events.PaymentRefunded, events.PaymentRefundFailed:
		return p.applyRefund(e)
	default:
		return p, fmt.Errorf("a payment cannot take %s", e.Type)
	}
	p.UpdatedAt = e.Time
	return p, nil
}

// setWaiting notes what the shopper waits for, unless an attempt has succeeded already: news of an older attempt may
// arrive late.
func (p Payment) setWaiting(status Status) Payment {
	if !p.attemptsOver() {
		p.Waiting = status
	}
	return p
}

func (p Payment) decline(fact events.PaymentDeclined) Payment {
	declines := maps.Clone(p.Declines)
	if declines == nil {
		declines = map[string]Decline{}
	}
	why := Decline{Code: fact.Code, DeclineCode: fact.DeclineCode, Message: fact.Message}
	declines[fact.Fact] = why
	p.Declines = declines
	if !p.attemptsOver() {
		p.Waiting, p.LastError = "", &why
	}
	return p
}

// attemptsOver reports whether the shopper's attempts to pay have ended, well or not.
func (p Payment) attemptsOver() bool {
	return !p.Authorized.IsZero() || !p.Captured.IsZero() || p.Cancelled || p.Failure != nil
}

// settle forgets what was only of interest during the attempts.
func (p Payment) endAttempts(charge string) Payment {
	p.Waiting, p.LastError = "", nil
	if charge != "" {
		p.Charge = charge
	}
	return p
}

func (p Payment) applyRefund(e events.Event) (Payment, error) {
	refunds := maps.Clone(p.Refunds)
	if refunds == nil {
		refunds = map[string]Refund{}
	}
	switch fact := e.Payload.(type) {
	case events.PaymentRefundRequested:
		refund := refunds[fact.RefundID]
		refund.Amount, refund.Reason = fact.Amount, fact.Reason
		refunds[fact.RefundID] = refund
	case events.PaymentRefunded:
		refund := refunds[fact.RefundID]
		refund.Amount, refund.StripeRefund, refund.Succeeded = fact.Amount, fact.StripeRefund, !refund.Failed
		refunds[fact.RefundID] = refund
	case events.PaymentRefundFailed:
		refund := refunds[fact.RefundID]
		refund.Amount, refund.Succeeded, refund.Failed, refund.Reason = fact.Amount, false, true, fact.Reason
		if fact.StripeRefund != "" {
			refund.StripeRefund = fact.StripeRefund
		}
		refunds[fact.RefundID] = refund
	}
	p.Refunds, p.UpdatedAt = refunds, e.Time
	_, err := p.refunding()
	return p, err
}
