package inventory

import (
	"fmt"
	"maps"

	"tillstream/events"
)

// State is the state of a reservation.
type State string

// The states of a reservation. Only StateCommitted is final.
const (
	StateNone      State = ""
	StateHeld      State = "held"
	StateRefused   State = "refused"
	StateReleased  State = "released"
	StateCommitted State = "committed"
)

// Reservation is the stock held for one order.
type Reservation struct {
	OrderID string
	State   State
	Lines   []events.ReservedLine // the stock that is or was held, one line per SKU, sorted by SKU
	Short   []events.Shortage     // the missing stock of a refused reservation
	// Late is set by the second attempt to hold the stock, which follows a late payment. There is no third attempt.
	Late bool
	// Returned has what is in stock again after it was sold, by the cause that returned it.
	Returned map[string][]events.ReservedLine
}

// ApplyReservation applies one event to a reservation.
func ApplyReservation(r Reservation, e events.Event) (Reservation, error) {
	before := r.State
	orderID, ok := r.fold(e.Payload)
	allowed := mayFollow(before, r.State)
	if _, returned := e.Payload.(events.ReservationReturned); returned {
		allowed = before == StateCommitted
	}
	if !ok || !allowed {
		return Reservation{}, fmt.Errorf("%w: %s on a reservation that is %q", ErrCannotFollow, e.Type, before)
	}
	if !subjectMatches(e, events.PrefixReservation, orderID) {
		return Reservation{}, fmt.Errorf("%w: reservation of %q on subject %s", ErrCannotFollow, orderID, e.Subject)
	}
	r.OrderID = orderID
	return r, nil
}

// fold applies a payload; ok is false for one that is not of a reservation.
func (r *Reservation) fold(p events.Payload) (orderID string, ok bool) {
	switch p := p.(type) {
	case events.ReservationHeld:
		r.Late = r.Late || r.State != StateNone
		r.State, r.Lines, r.Short = StateHeld, p.Lines, nil
		return p.OrderID, true
	case events.ReservationRefused:
		r.Late = r.Late || r.State != StateNone
		r.State, r.Short = StateRefused, p.Short
		return p.OrderID, true
	case events.ReservationReleased:
		r.State = StateReleased
		return p.OrderID, true
	case events.ReservationCommitted:
		r.State = StateCommitted
		return p.OrderID, true
	case events.ReservationReturned:
		returned := maps.Clone(r.Returned)
		if returned == nil {
			returned = map[string][]events.ReservedLine{}
		}
		returned[p.Cause] = p.Lines
		r.Returned = returned
		return p.OrderID, true
	}
	return "", false
}

// mayFollow is the table of transitions. Held may follow held, see [Affirm].
func mayFollow(before, after State) bool {
	switch after {
	case StateHeld:
		return before != StateCommitted
	case StateRefused:
		return before == StateNone || before == StateReleased || before == StateRefused
	case StateReleased:
		return before == StateNone || before == StateHeld
	case StateCommitted:
		return before == StateHeld
	}
	return false
}
