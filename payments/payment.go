package payments

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"tillstream/events"
)

// Status is the state of a payment, as the API shows it.
type Status string

// The statuses of a payment. The package comment draws how they follow each other.
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

// Payment is the state of one payment of an order: a set of facts. Stripe's reports may arrive in any order and repeatedly. The
// authorized, captured, cancelled and refunded amounts end up the same, because no fact is counted twice or removed.
//
// Only Waiting and LastError depend on the order of arrival. They show the shopper the state between two attempts, have no effect
// on money, and are empty once an attempt has succeeded or the payment has ended.
type Payment struct {
	ID        string       `json:"id"`
	OrderID   string       `json:"order_id"`
	Number    string       `json:"number"`
	Amount    events.Money `json:"amount"`
	ExpiresAt time.Time    `json:"expires_at"`
	Shopper   string       `json:"shopper,omitempty"` // one of the Shopper constants of package events, "" if unknown

	Capture string   `json:"capture"`           // one of the Capture constants of package events
	Methods []string `json:"methods,omitempty"` // Stripe's types of payment methods; none: cards

	PaymentIntent string `json:"payment_intent,omitempty"`
	Livemode      bool   `json:"livemode"`
	Charge        string `json:"charge,omitempty"`

	Waiting   Status             `json:"waiting,omitempty"` // StatusRequiresAction, StatusProcessing, or ""
	LastError *Decline           `json:"last_error,omitempty"`
	Declines  map[string]Decline `json:"declines,omitempty"` // by the declined Stripe object, so that each attempt counts once

	// Webhooks has the ids of Stripe's events that are stored on the payment, so that each is stored once. The projection does
	// not need them.
	Webhooks map[string]struct{} `json:"-"`

	Authorized      events.Money      `json:"authorized,omitzero"`
	AuthorizedUntil time.Time         `json:"authorized_until,omitzero"` // zero if unknown
	Multicapture    bool              `json:"multicapture,omitempty"`    // parts of the authorization can be captured one after the other
	Captured        events.Money      `json:"captured,omitzero"`         // so far
	CaptureMore     bool              `json:"capture_more,omitempty"`    // the rest of the authorization can still be captured
	CancelRequested bool              `json:"cancel_requested,omitempty"`
	CancelForce     bool              `json:"cancel_force,omitempty"`
	OverDeclined    bool              `json:"over_declined,omitempty"` // so many attempts were declined that the cancellation was requested
	Cancelled       bool              `json:"cancelled,omitempty"`
	CancelledIntent bool              `json:"cancelled_intent,omitempty"` // Stripe reported the intent as cancelled
	Failure         *Decline          `json:"failure,omitempty"`
	Refunds         map[string]Refund `json:"refunds,omitempty"` // by the shop's refund id

	Disputes map[string]Dispute      `json:"disputes,omitempty"` // by Stripe's id
	Balance  map[string]BalanceEntry `json:"balance,omitempty"`  // by the id of Stripe's balance transaction

	RequestedAt time.Time `json:"requested_at,omitzero"`
	UpdatedAt   time.Time `json:"updated_at,omitzero"`
}

// Decline is the reason why an attempt to pay, or the whole payment, failed.
type Decline struct {
	Code        string `json:"code"`
	DeclineCode string `json:"decline_code,omitempty"`
	Message     string `json:"message"`
}

// Refund is a refund that is pending, Succeeded or Failed. A bank can return a refund days after it succeeded. So Failed replaces
// Succeeded, but Succeeded never replaces Failed.
type Refund struct {
	Amount       events.Money `json:"amount"`
	StripeRefund string       `json:"stripe_refund,omitempty"`
	Pending      bool         `json:"pending,omitempty"` // Stripe has accepted it
	Succeeded    bool         `json:"succeeded,omitempty"`
	Failed       bool         `json:"failed,omitempty"`
	Reason       string       `json:"reason,omitempty"`
	Replaces     string       `json:"replaces,omitempty"` // the failed refund that it makes good
}

// Exists reports whether the payment was requested.
func (p Payment) Exists() bool { return p.ID != "" }

// Refunded returns the sum of the refunds that succeeded.
func (p Payment) Refunded() (events.Money, error) {
	return p.sumRefunds(func(r Refund) bool { return r.Succeeded })
}

// refunding returns the sum of the refunds that succeeded or are pending. This money is not available for further refunds.
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

// Status returns the status that the furthest fact gives the payment.
func (p Payment) Status() Status {
	switch {
	case !p.Exists():
		return ""
	case p.CaptureMore:
		return StatusAuthorized // of which a part is captured
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
	case err != nil || refunded.Amount <= 0: // no error here: Apply refuses a refund that overflows
		return StatusCaptured
	case refunded.Amount < p.Captured.Amount:
		return StatusPartlyRefunded
	}
	return StatusRefunded
}

// Open reports whether the payment has not ended: the shop expects further reports from Stripe.
func (p Payment) Open() bool {
	switch p.Status() {
	case StatusRequested, StatusIntentCreated, StatusRequiresAction, StatusProcessing, StatusAuthorized:
		return true
	}
	return false
}

// Payable reports whether the shopper can still pay or authenticate, for which the browser needs the client secret.
func (p Payment) Payable() bool {
	return p.PaymentIntent != "" && p.Open()
}

// Apply folds one fact into a payment. It copies what it changes. A stored webhook changes nothing but Webhooks: its decision has
// appended its own facts.
func (p Payment) Apply(e events.Event) (Payment, error) {
	switch fact := e.Payload.(type) {
	case events.WebhookReceived:
		return p.store(fact.StripeEvent), nil
	case events.PaymentRequested:
		p.ID, p.OrderID, p.Number = fact.PaymentID, fact.OrderID, fact.Number
		p.Amount, p.ExpiresAt, p.Shopper, p.RequestedAt = fact.Amount, fact.ExpiresAt, fact.Shopper, e.Time
		p.Capture, p.Methods = cmp.Or(fact.Capture, events.CaptureAtConfirmation), fact.Methods
	case events.PaymentIntentCreated:
		p.PaymentIntent, p.Livemode = fact.PaymentIntent, fact.Livemode
	case events.PaymentActionRequired:
		p = p.setWaiting(StatusRequiresAction)
	case events.PaymentProcessing:
		p = p.setWaiting(StatusProcessing)
	case events.PaymentDeclined:
		p = p.decline(fact)
	case events.PaymentAuthorized:
		p.Authorized, p.AuthorizedUntil, p.Multicapture = fact.Amount, fact.ExpiresAt, fact.Multicapture
		p = p.endAttempts(fact.Charge)
	case events.PaymentCaptured:
		p = p.addCapture(fact)
	case events.PaymentCancelRequested:
		p.CancelRequested, p.CancelForce = true, p.CancelForce || fact.Force
		p.OverDeclined = p.OverDeclined || fact.Reason == events.CancelDeclinedTooOften
	case events.PaymentCancelled:
		p.Cancelled, p.CancelledIntent = true, p.CancelledIntent || fact.PaymentIntent != ""
		p.Authorized, p.Charge = events.Money{}, "" // the authorization is released
		p = p.endAttempts("")
	case events.PaymentFailed:
		p.Failure = &Decline{Code: fact.Code, Message: fact.Message}
		p = p.endAttempts("")
	case events.PaymentRefundRequested, events.PaymentRefundPending, events.PaymentRefunded, events.PaymentRefundFailed:
		return p.applyRefund(e)
	case events.PaymentDisputeUpdated:
		p = p.addDispute(fact)
	case events.PaymentBalanceRecorded:
		p = p.addBalance(fact)
	default:
		return p, fmt.Errorf("apply %s: not an event of a payment", e.Type)
	}
	p.UpdatedAt = e.Time
	return p, nil
}

func (p Payment) store(stripeEvent string) Payment {
	stored := maps.Clone(p.Webhooks)
	if stored == nil {
		stored = map[string]struct{}{}
	}
	stored[stripeEvent] = struct{}{}
	p.Webhooks = stored
	return p
}

// setWaiting records the step at which the current attempt waits, unless the attempts are over: the report of an older attempt
// may arrive late.
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
	decline := Decline{Code: fact.Code, DeclineCode: fact.DeclineCode, Message: fact.Message}
	declines[fact.Fact] = decline
	p.Declines = declines
	if !p.attemptsOver() {
		p.Waiting, p.LastError = "", &decline
	}
	return p
}

// attemptsOver reports whether the shopper's attempts to pay have ended, with success or without.
func (p Payment) attemptsOver() bool {
	return !p.Authorized.IsZero() || !p.Captured.IsZero() || p.Cancelled || p.Failure != nil
}

// endAttempts clears the fields that only matter during the attempts.
func (p Payment) endAttempts(charge string) Payment {
	p.Waiting, p.LastError = "", nil
	if charge != "" {
		p.Charge = charge
	}
	return p
}
