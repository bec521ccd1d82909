package orders

import (
	"cmp"
	"fmt"
	"math"
	"time"
)

// Limits bound what orders of shoppers can hold before they are paid. Orders that staff place have none of them.
type Limits struct {
	Units          int64 // of one SKU in one order
	OpenPerEmail   int   // unpaid orders of one e-mail address at the same time
	OpenPerAddress int   // unpaid orders of one client address at the same time
	// ShortHoldFor is how long stock is held for an unpaid order whose shopper already uses half of an allowance.
	ShortHoldFor time.Duration
}

// withDefaults returns the limits with the defaults of those that are 0. Real shops rarely sell more units at once: the largest
// line in the public data of a wholesaler's first week has 2,880.
func (l Limits) withDefaults() Limits {
	return Limits{Units: cmp.Or(l.Units, 5000), OpenPerEmail: cmp.Or(l.OpenPerEmail, 5), OpenPerAddress: cmp.Or(l.OpenPerAddress, 50),
		ShortHoldFor: cmp.Or(l.ShortHoldFor, 10*time.Minute)}
}

// OpenOrders are the other unpaid orders of the shopper who places an order.
type OpenOrders struct {
	ByEmail   int
	ByAddress int       // 0 if the client address is not known
	Elsewhere bool      // all of them were placed from other client addresses than this one, which is known
	FreeAt    time.Time // when the first of them expires
}

// LimitError is returned for an order of a shopper who has too many unpaid orders.
type LimitError struct {
	Message    string // for the shopper
	RetryAfter time.Duration
}

// Error implements error.
func (e *LimitError) Error() string { return e.Message }

// holdFor returns how long the stock of a new order is held until it is paid, or a [*LimitError].
//
// Anyone can use the e-mail address of another. So unpaid orders that were all placed elsewhere shorten the hold, and do not keep
// the owner from buying. Strangers gain nothing by it: they can use any e-mail addresses.
func (l Limits) holdFor(open OpenOrders, hold time.Duration, now time.Time) (time.Duration, error) {
	var what string
	switch {
	case open.ByEmail >= l.OpenPerEmail && !open.Elsewhere:
		what = fmt.Sprintf("There are already %d unpaid orders with this e-mail address.", open.ByEmail)
	case open.ByAddress >= l.OpenPerAddress:
		what = fmt.Sprintf("There are already %d unpaid orders from your internet address.", open.ByAddress)
	case 2*(open.ByEmail+1) > l.OpenPerEmail && open.ByEmail > 0, 2*(open.ByAddress+1) > l.OpenPerAddress && open.ByAddress > 0:
		return min(hold, l.ShortHoldFor), nil
	default:
		return hold, nil
	}
	wait := max(open.FreeAt.Sub(now), time.Second)
	return 0, &LimitError{RetryAfter: wait,
		Message: fmt.Sprintf("%s Please pay or cancel one of them first, or try again in %s.", what, duration(wait))}
}

// duration returns a duration as text, rounded up to whole minutes, hours or days.
func duration(d time.Duration) string {
	switch {
	case d > 48*time.Hour:
		return fmt.Sprintf("%.0f days", math.Ceil(d.Hours()/24))
	case d > 2*time.Hour:
		return fmt.Sprintf("%.0f hours", math.Ceil(d.Hours()))
	case d > time.Minute:
		return fmt.Sprintf("%.0f minutes", math.Ceil(d.Minutes()))
	}
	return "a minute"
}
