package inventory

import (
	"fmt"

	"tillstream/events"
)

// State is how far a reservation has come.
type State string

// The states of a reservation. Committed is the only one that nothing leads out of.
const (
	StateNone      State = ""
	StateHeld      State = "held"
	StateRefused   State = "refused"
	StateReleased  State = "released"
	StateCommitted State = "committed"
)

// Reservation is what is put aside for one order.
type Reservation struct {
	OrderID string
	State   State
	Lines   []events.ReservedLine // what is or was held, one per SKU in order of SKU
	Short   []events.Shortage     // why it was refused, when it is
	// Late: the money came after expiry and the second try has been made. There is no third.
	Late bool
}

// ApplyReservation applies one event to a reservation.
func ApplyReservation(r Reservation, e events.Event) (Reservation, error) {
	before := r.State
	orderID, ok := r.fold(e.Payload)
	if !ok || !mayFollow(before, r.State) {
		return Reservation{}, fmt.Errorf("%w: %s on a reservation that is %q", ErrCannotFollow, e.Type, before)
	}
	if !isAbout(e, events.PrefixReservation, orderID) {
		return Reservation{}, fmt.Errorf("%w: reservation of %q on subject %s", ErrCannotFollow, orderID, e.Subject)
	}
	r.OrderID = orderID
	return r, nil
}

// fold changes the fields that an event is about; ok is false for a stranger.
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
	}
	return "", false
}

// mayFollow is the table of transitions. Held may follow held: after a late payment it is said again.
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
