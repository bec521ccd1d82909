package replay

import (
	"fmt"
	"strings"
	"time"

	"tillstream/events"
)

// ofDelivery describes the events of an order between its placement and its delivery.
func ofDelivery(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.OrderDeadlineChanged:
		return fmt.Sprintf("held until %s: %s", day(p.ExpiresAt), strings.ReplaceAll(p.Reason, "_", " ")), true
	case events.OrderFulfilmentCreated:
		return ofFulfilment(p), true
	case events.OrderPaymentCaptured:
		return fmt.Sprintf("%s captured so far", p.Amount), true
	case events.OrderAuthorizationLost:
		return fmt.Sprintf("the bank released the rest; not sent: %s; sent and not paid: %s", reserved(p.Lines), p.Unpaid), true
	}
	return "", false
}

func ofFulfilment(p events.OrderFulfilmentCreated) string {
	text := fmt.Sprintf("%s sent, for %s", reserved(p.Lines), p.Amount)
	if p.Carrier != "" || p.Tracking != "" {
		text += " by " + strings.TrimSpace(p.Carrier+" "+p.Tracking)
	}
	if len(p.Cancelled) > 0 {
		text += "; not sent any more: " + reserved(p.Cancelled)
	}
	return text
}

// ofDisputes describes the events of disputes and of what Stripe has booked.
func ofDisputes(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.OrderDisputed:
		return disputed(p.Dispute, p.Status, p.Amount, p.EvidenceDue), true
	case events.OrderDisputeClosed:
		return disputed(p.Dispute, p.Status, p.Amount, time.Time{}), true
	case events.PaymentDisputeUpdated:
		return disputed(p.Dispute, p.Status, p.Amount, p.EvidenceDue), true
	case events.PaymentBalanceRecorded:
		return fmt.Sprintf("%s of %s, fee %s, net %s (%s)", p.Kind, p.Amount, p.Fee, p.Net, p.Transaction), true
	}
	return "", false
}

func disputed(id, status string, amount events.Money, due time.Time) string {
	text := fmt.Sprintf("dispute %s of %s: %s", id, amount, strings.ReplaceAll(status, "_", " "))
	if !due.IsZero() {
		text += ", evidence is due by " + day(due)
	}
	return text
}

func reserved(of []events.ReservedLine) string {
	named := make([]string, 0, maxNamed)
	for _, l := range of[:min(len(of), maxNamed)] {
		named = append(named, fmt.Sprintf("%d × %s", l.Quantity, l.SKU))
	}
	return strings.Join(named, ", ") + more(len(of))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
