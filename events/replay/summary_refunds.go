package replay

import (
	"fmt"
	"strings"

	"tillstream/events"
)

// ofRefunds describes the events of refunds and of goods that go back to stock.
func ofRefunds(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.OrderRefundRequested:
		return fmt.Sprintf("refund of %s requested: %s (refund %s)", p.Amount, p.Reason, p.RefundID) + ofRestock(p.Lines), true
	case events.OrderRefundFailed:
		return fmt.Sprintf("refund of %s failed: %s (refund %s)", p.Amount, p.Reason, p.RefundID), true
	case events.PaymentRefundPending:
		return fmt.Sprintf("%s is on its way to the shopper (refund %s)", p.Amount, p.RefundID), true
	case events.StockReturned:
		return movement(p.StockMovement, fmt.Sprintf("%d returned", p.Quantity)), true
	case events.ReservationReturned:
		return fmt.Sprintf("%s of the sold stock returned (%s)", plural(len(p.Lines), "SKU"), p.Cause), true
	}
	return "", false
}

// ofRestock names the units that go back to stock.
func ofRestock(lines []events.RefundLine) string {
	var units []string
	for _, l := range lines {
		if l.Restock > 0 {
			units = append(units, fmt.Sprintf("%d × %s", l.Restock, l.SKU))
		}
	}
	if len(units) == 0 {
		return ""
	}
	return "; back to stock: " + strings.Join(units[:min(len(units), maxNamed)], ", ") + more(len(units))
}
