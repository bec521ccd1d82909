package orders

import (
	"errors"
	"fmt"
	"slices"

	"tillstream/events"
	eventlog "tillstream/events/log"
)

var (
	// ErrNothingCaptured is returned for a refund of an order of which no money was captured.
	ErrNothingCaptured = errors.New("no money of this order was captured, so there is nothing to refund")
	// ErrChargedBack is returned for a refund of a payment of which the bank has taken the money back in a dispute.
	ErrChargedBack = errors.New("the shopper's bank disputes this payment and has taken the money back, so it cannot be refunded")
	// ErrRefundKeyReused is returned when a request repeats an Idempotency-Key with another refund.
	ErrRefundKeyReused = errors.New("this Idempotency-Key was used for another refund of this order")
	// ErrNotFailed is returned for a refund that replaces one which has not failed, or which another refund replaces.
	ErrNotFailed = errors.New("only a failed refund that was not replaced yet can be replaced")
)

// RefundableChangedError is returned for a refund if another amount can be refunded than the one that its operator saw: somebody
// else has made a refund in the meantime, or an earlier one has failed.
type RefundableChangedError struct {
	Seen, Now events.Money
}

// Error implements error.
func (e *RefundableChangedError) Error() string {
	return fmt.Sprintf("the amount that can be refunded is now %s, not %s: somebody has refunded money of this order in the meantime, or a refund has failed; look at the refunds again", e.Now, e.Seen)
}

// RefundRequest is what staff ask for: everything, a failed refund again, or an amount, lines and delivery.
type RefundRequest struct {
	ID       string
	Hash     string              // of the request, without Seen
	Seen     events.Money        // what could be refunded when the operator decided
	Full     bool                // everything that can still be refunded; all units that are not sent go back to stock
	Replaces string              // the id of a failed refund, which is repeated
	Amount   events.Money        // at least that of the lines and of the delivery; zero: as much
	Lines    []events.RefundLine // Amount is zero for the price of the units; Unsent is decided here
	Shipping events.Money        // the part for delivery; zero: nothing
	Reason   string
}

// Refundable returns the captured amount less the refunds that have not failed.
func (o Order) Refundable() events.Money {
	refunds := o.sumRefunds(func(r Refund) bool { return r.State != RefundFailed })
	return events.Money{Amount: max(0, o.Taken.Amount-refunds.Amount), Currency: o.Total.Currency}
}

// RefundableShipping returns the part of the price of delivery that no refund names.
func (o Order) RefundableShipping() events.Money {
	left := o.Shipping
	for _, r := range o.Refunds {
		if r.State != RefundFailed {
			left.Amount -= r.Shipping.Amount
		}
	}
	return left
}

// RefundableLine is what can still be refunded of a line.
type RefundableLine struct {
	SKU       string       `json:"sku"`
	Title     string       `json:"title"`
	UnitPrice events.Money `json:"unit_price"`
	Quantity  int64        `json:"quantity" doc:"Units that were ordered and are neither refunded nor cancelled"`
	Restock   int64        `json:"restock" doc:"Units that are not sent and can go back to stock"`
	gone      int64        // units that are not refunded, and sent or returned to stock by a refund that failed
}

// unsent returns how many of the units that a refund names are not sent any more. Units that are sent are refunded first, but for those
// to restock.
func (l RefundableLine) unsent(quantity, restock int64) int64 { return max(restock, quantity-l.gone) }

// price returns the price of the units that a refund names. While the rest of the authorization can still be captured, the units that
// are not sent are not paid.
func (o Order) price(l RefundableLine, quantity, restock int64) (events.Money, error) {
	if o.TakesMore {
		quantity -= l.unsent(quantity, restock)
	}
	return l.UnitPrice.Times(quantity)
}

// RefundableLines returns what can still be refunded of each line. Goods of an order that was not confirmed were never sold, so they
// cannot go back to stock.
func (o Order) RefundableLines() []RefundableLine {
	unsent, refunded, cancelled, gone := o.Unsent(), map[string]int64{}, map[string]int64{}, map[string]int64{}
	for _, f := range o.Fulfilments {
		for _, l := range f.Lines {
			gone[l.SKU] += l.Quantity
		}
	}
	for _, l := range o.cancelledGoods() {
		cancelled[l.SKU] += l.Quantity
	}
	for _, r := range o.Refunds {
		for _, l := range r.Lines {
			if r.State == RefundFailed {
				gone[l.SKU] += l.Restock
			} else {
				refunded[l.SKU] += l.Quantity
				gone[l.SKU] -= l.Quantity - l.Unsent
			}
		}
	}
	lines := make([]RefundableLine, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = RefundableLine{SKU: l.SKU, Title: l.Title, UnitPrice: l.UnitPrice, Quantity: l.Quantity - refunded[l.SKU] - cancelled[l.SKU], gone: gone[l.SKU]}
		if o.Status == Confirmed {
			lines[i].Restock = max(0, min(lines[i].Quantity, unsent[l.SKU]))
		}
	}
	return lines
}

// RequestRefund returns the event that requests a refund, and none if the same request was made before. It returns
// [ErrNothingCaptured], [ErrChargedBack], [ErrRefundKeyReused], [ErrNotFailed], a [*RefundableChangedError], or an
// [*events.InvalidError] for an amount, a quantity or units to restock beyond what is left.
func (o Order) RequestRefund(r RefundRequest) ([]events.Payload, error) {
	if known, ok := o.Refund(r.ID); ok {
		if known.RequestHash != r.Hash {
			return nil, ErrRefundKeyReused
		}
		return nil, nil
	}
	if err := o.refundBlocked(); err != nil {
		return nil, err
	}
	left := o.Refundable()
	if r.Seen != left {
		return nil, &RefundableChangedError{Seen: r.Seen, Now: left}
	}
	refund := events.OrderRefundRequested{OrderOutcome: o.outcome(), RefundID: r.ID, Amount: r.Amount, Lines: r.Lines, Shipping: r.Shipping,
		Reason: r.Reason, Replaces: r.Replaces, RequestHash: r.Hash}
	refund, err := o.completeRefund(refund, r.Full)
	if err == nil {
		refund.Lines, err = o.refundLines(refund.Lines)
	}
	if err == nil {
		refund.Amount, err = o.refundAmount(refund, left)
	}
	if err != nil {
		return nil, err
	}
	return []events.Payload{refund}, nil
}

// refundBlocked returns [ErrNothingCaptured] or [ErrChargedBack] if no refund of the order can be requested, whatever its amount.
func (o Order) refundBlocked() error {
	switch {
	case o.Taken.IsZero():
		return ErrNothingCaptured
	case slices.ContainsFunc(o.Disputes, Dispute.chargedBack):
		return ErrChargedBack
	}
	return nil
}

// chargedBack reports whether the bank has taken the money of a dispute. A warning takes none, and a refund may end it.
func (d Dispute) chargedBack() bool {
	switch d.Status {
	case events.DisputeWarningNeedsResponse, events.DisputeWarningUnderReview, events.DisputeWarningClosed, events.DisputeWon:
		return false
	}
	return true
}

// completeRefund fills in the amount, the lines and the delivery of a refund of everything, and of one that repeats a failed refund.
func (o Order) completeRefund(refund events.OrderRefundRequested, full bool) (events.OrderRefundRequested, error) {
	given := !refund.Amount.IsZero() || len(refund.Lines) > 0 || !refund.Shipping.IsZero()
	switch {
	case !full && refund.Replaces == "":
		return refund, nil
	case given || full && refund.Replaces != "":
		return refund, invalid("amount", "leave out amount, lines and delivery of a refund of everything, and of one that repeats a failed refund; ask for one of the two", refund.Amount)
	case full:
		return o.fullRefund(refund), nil
	}
	failed, _ := o.Refund(refund.Replaces)
	if failed.State != RefundFailed || o.replaced(failed.ID) {
		return refund, ErrNotFailed
	}
	refund.Amount, refund.Shipping, refund.Lines = failed.Amount, failed.Shipping, slices.Clone(failed.Lines)
	for i := range refund.Lines {
		refund.Lines[i].Restock = 0 // what the failed refund returned to stock stays there
	}
	return refund, nil
}

// replaced reports whether another refund makes a failed one good.
func (o Order) replaced(id string) bool {
	return slices.ContainsFunc(o.Refunds, func(r Refund) bool { return r.Replaces == id })
}

// fullRefund has every line and the delivery. Earlier refunds may have left less than their price: the last ones then get less.
func (o Order) fullRefund(refund events.OrderRefundRequested) events.OrderRefundRequested {
	refund.Amount = o.Refundable()
	rest := refund.Amount
	take := func(most int64) events.Money {
		part := min(rest.Amount, most)
		rest.Amount -= part
		return events.Money{Amount: part, Currency: rest.Currency}
	}
	for _, l := range o.RefundableLines() {
		if price, err := o.price(l, l.Quantity, l.Restock); err == nil && l.Quantity > 0 { // no error: at most the price of the line
			refund.Lines = append(refund.Lines, events.RefundLine{SKU: l.SKU, Quantity: l.Quantity, Amount: take(price.Amount), Restock: l.Restock})
		}
	}
	refund.Shipping = take(o.RefundableShipping().Amount)
	return refund
}

// refundLines checks the lines of a refund, and completes the amount of each and how many of its units are not sent any more.
func (o Order) refundLines(wanted []events.RefundLine) ([]events.RefundLine, error) {
	left := o.RefundableLines()
	lines := make([]events.RefundLine, 0, len(wanted))
	for i, l := range wanted {
		field := func(name string) string { return fmt.Sprintf("lines[%d].%s", i, name) }
		at := slices.IndexFunc(left, func(known RefundableLine) bool { return known.SKU == l.SKU })
		if at < 0 || slices.ContainsFunc(lines, func(known events.RefundLine) bool { return known.SKU == l.SKU }) {
			return nil, invalid(field("sku"), "is not a line of the order, or named twice", l.SKU)
		}
		known := left[at]
		switch {
		case l.Quantity < 1 || l.Quantity > known.Quantity:
			return nil, invalid(field("quantity"), fmt.Sprintf("must be 1 to %d: the units that were ordered and are neither refunded nor cancelled", known.Quantity), l.Quantity)
		case l.Restock < 0 || l.Restock > min(l.Quantity, known.Restock):
			return nil, invalid(field("restock"), fmt.Sprintf("must be 0 to %d: units that were sent are not in the shop; when they come back, book a return", min(l.Quantity, known.Restock)), l.Restock)
		case l.Amount == (events.Money{}):
			var err error
			if l.Amount, err = o.price(known, l.Quantity, l.Restock); err != nil {
				return nil, invalid(field("quantity"), err.Error(), l.Quantity)
			}
		case l.Amount.Amount < 0 || l.Amount.Currency != o.Total.Currency:
			return nil, invalid(field("amount"), "must not be negative, in "+o.Total.Currency, l.Amount)
		}
		l.Unsent = known.unsent(l.Quantity, l.Restock)
		lines = append(lines, l)
	}
	return lines, nil
}

// refundAmount returns the amount of a refund: the one that is asked for, or that of its lines and of the delivery.
func (o Order) refundAmount(refund events.OrderRefundRequested, left events.Money) (amount events.Money, err error) {
	sum := events.Money{Currency: o.Total.Currency}
	for _, l := range refund.Lines {
		if sum, err = sum.Add(l.Amount); err != nil {
			return amount, invalid("lines", err.Error(), len(refund.Lines))
		}
	}
	if delivery := refund.Shipping; delivery != (events.Money{}) {
		most := o.RefundableShipping()
		if delivery.Amount < 0 || delivery.Amount > most.Amount || delivery.Currency != most.Currency {
			return amount, invalid("shipping", fmt.Sprintf("must be 0 to %s, which was paid for delivery and is not refunded", most), delivery)
		}
		if sum, err = sum.Add(delivery); err != nil {
			return amount, invalid("shipping", err.Error(), delivery)
		}
	}
	amount = refund.Amount
	if amount == (events.Money{}) {
		amount = sum
	}
	switch {
	case amount.Amount < 1 || amount.Currency != o.Total.Currency || amount.Amount > left.Amount:
		return amount, invalid("amount", fmt.Sprintf("must be more than 0 and at most %s, which was captured and is not refunded", left), amount)
	case amount.Amount < sum.Amount:
		return amount, invalid("amount", fmt.Sprintf("must be at least %s, the amount of the lines and of the delivery; set another amount for a line to refund less of it", sum), amount)
	}
	return amount, nil
}

// madeInDashboard is the reason of a refund that the shop learns of only from Stripe.
const madeInDashboard = "made in Stripe's dashboard"

// RefundStarted returns the events that follow when the payment has a refund which the order did not ask for: of a payment that came
// after the end of the order, or made in Stripe's dashboard. From here on the order counts it.
func (o Order) RefundStarted(refundID string, amount events.Money, reason string) []events.Payload {
	if _, known := o.Refund(refundID); known || !slices.Contains(refundable, o.Status) {
		return nil
	}
	return []events.Payload{events.OrderRefundRequested{OrderOutcome: o.outcome(), RefundID: refundID, Amount: amount, Reason: reason}}
}

// refundStarted decides what a refund that the payment requests means for its order. While a process of an older release runs, which
// does not know the event, the lane must not wait for it with every order of the shop: the order counts the refund when it is made.
func refundStarted(tx *eventlog.Tx, p events.PaymentRefundRequested) error {
	if !tx.MayWrite(events.OrderRefundRequested{}) {
		return nil
	}
	return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.RefundStarted(p.RefundID, p.Amount, p.Reason) })
}

// PaymentRefundFailed returns the events that follow when a refund has failed, perhaps after it had succeeded. It fails once.
func (o Order) PaymentRefundFailed(refundID string, amount events.Money, reason string) []events.Payload {
	if known, _ := o.Refund(refundID); known.State == RefundFailed || !o.Exists() {
		return nil
	}
	return []events.Payload{events.OrderRefundFailed{OrderOutcome: o.outcome(), RefundID: refundID, Amount: amount, Reason: reason}}
}
