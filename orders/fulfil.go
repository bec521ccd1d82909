package orders

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tillstream/events"
)

var (
	// ErrNotFulfillable is returned when nothing of an order can be sent.
	ErrNotFulfillable = errors.New("this order cannot be sent")
	// ErrFulfilmentReused is returned when a request repeats the id of a fulfilment with other contents.
	ErrFulfilmentReused = errors.New("this Idempotency-Key was used for another fulfilment")
)

// Fulfilment is a parcel of an order.
type Fulfilment struct {
	ID        string                `json:"id"`
	Lines     []events.ReservedLine `json:"lines"`
	Cancelled []events.ReservedLine `json:"cancelled,omitempty"` // goods that are not sent any more, because this was the last parcel
	Amount    events.Money          `json:"amount"`              // price of the goods; the first parcel has delivery and tax
	Carrier   string                `json:"carrier,omitempty"`
	Tracking  string                `json:"tracking,omitempty"`
	SentAt    time.Time             `json:"sent_at"`

	RequestHash string `json:"request_hash,omitempty"`
}

func newFulfilment(p events.OrderFulfilmentCreated, at time.Time) Fulfilment {
	return Fulfilment{ID: p.FulfilmentID, Lines: p.Lines, Cancelled: p.Cancelled, Amount: p.Amount, Carrier: p.Carrier, Tracking: p.Tracking,
		SentAt: at, RequestHash: p.RequestHash}
}

// Lost is what an order has lost with its authorization.
type Lost struct {
	Lines  []events.ReservedLine `json:"lines,omitempty"` // goods that are not sent any more
	Unpaid events.Money          `json:"unpaid"`          // price of what was sent, less what was captured
}

// FulfilmentRequest is a parcel as staff request it.
type FulfilmentRequest struct {
	ID       string                // of the fulfilment
	Hash     string                // of the request, to tell a repeated one from another
	Lines    []events.ReservedLine // none: everything that is not sent yet
	Carrier  string
	Tracking string
	Final    bool // nothing else will be sent: the shopper does not pay the rest
}

// Fulfil sends goods of an order. Repeating a request changes nothing. It returns [ErrFulfilmentReused], [ErrNotFulfillable] or an
// [*events.InvalidError].
func (o Order) Fulfil(r FulfilmentRequest) ([]events.Payload, error) {
	if known, ok := o.fulfilment(r.ID); ok {
		if known.RequestHash != r.Hash {
			return nil, ErrFulfilmentReused
		}
		return nil, nil
	}
	if err := o.fulfillable(); err != nil {
		return nil, err
	}
	lines, rest, err := o.pick(r.Lines)
	if err != nil {
		return nil, err
	}
	f := events.OrderFulfilmentCreated{OrderOutcome: o.outcome(), FulfilmentID: r.ID, Lines: lines, Carrier: r.Carrier, Tracking: r.Tracking,
		RequestHash: r.Hash, Amount: o.priceOf(lines), Released: o.Released}
	if len(o.Fulfilments) == 0 {
		f.Amount.Amount += o.Shipping.Amount + o.Tax.Amount
	}
	f.Due = events.Money{Amount: o.due().Amount + f.Amount.Amount, Currency: o.Total.Currency}
	if err := o.end(&f, r.Final, rest); err != nil {
		return nil, err
	}
	return []events.Payload{f}, nil
}

// end makes a fulfilment the last one of its order if staff say so or if no goods are left after it. The shopper does not pay for
// goods that are not sent.
func (o Order) end(f *events.OrderFulfilmentCreated, final bool, rest []events.ReservedLine) error {
	if !final && len(rest) > 0 {
		return nil
	}
	err := o.releasable()
	switch {
	case err != nil && len(rest) > 0:
		return err
	case len(rest) > 0 && f.Due.Amount == 0:
		return fmt.Errorf("%w as the last parcel: nothing in it costs anything; cancel the order instead", ErrNotFulfillable)
	case err == nil && f.Due.Amount < o.Total.Amount:
		f.Released = events.Money{Amount: o.Total.Amount - f.Due.Amount, Currency: o.Total.Currency}
	}
	f.Final, f.Cancelled = true, rest
	return nil
}

// fulfilment returns the fulfilment with an id.
func (o Order) fulfilment(id string) (Fulfilment, bool) {
	at := slices.IndexFunc(o.Fulfilments, func(f Fulfilment) bool { return f.ID == id })
	if at < 0 {
		return Fulfilment{}, false
	}
	return o.Fulfilments[at], true
}

// fulfillable returns [ErrNotFulfillable] with the reason why nothing of the order can be sent.
func (o Order) fulfillable() error {
	switch {
	case o.Status != Confirmed:
		return fmt.Errorf("%w: it is %s, not confirmed", ErrNotFulfillable, o.Status)
	case o.Held():
		return fmt.Errorf("%w: the payment is disputed", ErrNotFulfillable)
	case o.Lost != nil:
		return fmt.Errorf("%w: the authorization of the payment has ended", ErrNotFulfillable)
	case o.Captured && !o.TakesMore && o.Refundable().IsZero():
		return fmt.Errorf("%w: all of its money is refunded", ErrNotFulfillable)
	case len(sorted(o.Unsent())) == 0:
		return fmt.Errorf("%w: nothing is left to send", ErrNotFulfillable)
	}
	return nil
}

// Fulfillable reports whether goods of the order can be sent now.
func (o Order) Fulfillable() bool { return o.fulfillable() == nil }

// releasable returns [ErrNotFulfillable] if the shopper has paid for the goods that are not sent, so that leaving them out is a
// refund.
func (o Order) releasable() error {
	switch {
	case o.Capture != events.CaptureAtFulfilment || o.Captured && !o.TakesMore:
		return fmt.Errorf("%w as the last parcel: the rest is paid; refund the rest instead", ErrNotFulfillable)
	case !o.Captured && len(o.Fulfilments) > 0:
		return fmt.Errorf("%w as the last parcel: the payment of the parcel before is being captured; try again in a moment", ErrNotFulfillable)
	}
	return nil
}

// pick returns the lines of a parcel, and what is left to be sent after it. Without requested lines it takes everything.
func (o Order) pick(requested []events.ReservedLine) (lines, rest []events.ReservedLine, err error) {
	left, taken := o.Unsent(), map[string]int64{}
	var faults []events.Fault
	for i, l := range requested {
		unsent, ordered := left[l.SKU]
		fault := func(field, message string) {
			faults = append(faults, events.Fault{Field: fmt.Sprintf("lines[%d].%s", i, field), Message: message, Value: l.Quantity})
		}
		switch {
		case !ordered:
			fault("sku", "is not in this order")
		case l.Quantity < 1:
			fault("quantity", "must be at least 1")
		case l.Quantity > unsent-taken[l.SKU]:
			fault("quantity", fmt.Sprintf("is more than the %d that are not sent yet", max(0, unsent-taken[l.SKU])))
		default:
			taken[l.SKU] += l.Quantity
		}
	}
	if len(faults) > 0 {
		return nil, nil, &events.InvalidError{Faults: faults}
	}
	if len(requested) == 0 {
		taken = left
	}
	lines = sorted(taken)
	for _, l := range lines {
		left[l.SKU] -= l.Quantity
	}
	return lines, sorted(left), nil
}

// sorted returns the quantities above 0 as lines, sorted by SKU.
func sorted(quantities map[string]int64) (lines []events.ReservedLine) {
	for _, sku := range slices.Sorted(maps.Keys(quantities)) {
		if quantities[sku] > 0 {
			lines = append(lines, events.ReservedLine{SKU: sku, Quantity: quantities[sku]})
		}
	}
	return lines
}
