package payments

import (
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
func (c Config) terms() Terms { return Terms{Capture: c.Capture} }

func (t Terms) validate() error {
	if modes := []string{events.CaptureAutomatic, events.CaptureAtConfirmation, events.CaptureAtFulfilment}; !slices.Contains(modes, t.Capture) {
		return fmt.Errorf("payments: Config.Capture is %q, want one of %v", t.Capture, modes)
	}
	return nil
}
