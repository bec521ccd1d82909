package replay

import (
	"fmt"
	"strings"
	"time"

	"tillstream/events"
)

// Summary says in one line what an event says. What it leaves out stands in the event.
func Summary(e events.Event) string {
	for _, summarise := range []func(events.Event) (string, bool){ofOrder, ofInventory, ofPayment, ofMessage, ofMachinery} {
		if text, ok := summarise(e); ok {
			return text
		}
	}
	return ""
}

func ofOrder(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.OrderPlaced:
		return fmt.Sprintf("%s: %s for %s, to be paid by %s", p.Number, lines(p.Lines), p.Total, clock(p.ExpiresAt)), true
	case events.OrderAwaitingPayment:
		return fmt.Sprintf("stock is held; wants %s by %s", p.Amount, clock(p.ExpiresAt)), true
	case events.OrderPaymentAccepted:
		return fmt.Sprintf("takes up %s", p.Amount), true
	case events.OrderConfirmed:
		return "paid and sold", true
	case events.OrderRejected:
		return strings.TrimSuffix("because "+p.Reason+": "+short(p.Short), ": "), true
	case events.OrderExpired:
		return "nobody paid in time", true
	case events.OrderCancelled:
		return fmt.Sprintf("%s, by %s", p.Reason, e.Actor), true
	case events.OrderPaidLate:
		return fmt.Sprintf("%s came after the end; stock is to be held again", p.Amount), true
	case events.OrderRefunded:
		return fmt.Sprintf("%s went back (refund %s)", p.Amount, p.RefundID), true
	}
	return "", false
}

func ofInventory(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.ItemChanged:
		return fmt.Sprintf("%s %q at %s", p.SKU, p.Title, p.Price), true
	case events.StockAdjusted:
		return movement(p.StockMovement, fmt.Sprintf("%+d", p.Quantity)) + fmt.Sprintf(" (%s, by %s)", p.Reason, e.Actor), true
	case events.StockHeld:
		return movement(p.StockMovement, fmt.Sprintf("%d held", p.Quantity)), true
	case events.StockReleased:
		return movement(p.StockMovement, fmt.Sprintf("%d released", p.Quantity)), true
	case events.StockCommitted:
		return movement(p.StockMovement, fmt.Sprintf("%d sold", p.Quantity)), true
	case events.ReservationHeld:
		return fmt.Sprintf("all of %s held", plural(len(p.Lines), "SKU")), true
	case events.ReservationRefused:
		return "nothing held: " + short(p.Short), true
	case events.ReservationReleased:
		return "nothing is held any more", true
	case events.ReservationCommitted:
		return "what was held is sold", true
	}
	return "", false
}

func ofPayment(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.PaymentRequested:
		return fmt.Sprintf("%s by %s", p.Amount, clock(p.ExpiresAt)), true
	case events.PaymentIntentCreated:
		return fmt.Sprintf("%s for %s", p.PaymentIntent, p.Amount), true
	case events.PaymentActionRequired:
		return "the bank asks the shopper", true
	case events.PaymentProcessing:
		return "the bank takes its time", true
	case events.PaymentDeclined:
		return strings.TrimSpace(fmt.Sprintf("%s %s: %s", p.Code, p.DeclineCode, p.Message)), true
	case events.PaymentAuthorized:
		return fmt.Sprintf("%s reserved on the card", p.Amount), true
	case events.PaymentCaptured:
		return fmt.Sprintf("%s taken", p.Amount), true
	}
	return ofPaymentEnd(e)
}

func ofPaymentEnd(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.PaymentCancelRequested:
		if p.Force {
			return p.Reason + "; an authorisation is to be voided too", true
		}
		return p.Reason, true
	case events.PaymentCancelled:
		return p.Reason, true
	case events.PaymentFailed:
		return p.Code + ": " + p.Message, true
	case events.PaymentRefundRequested:
		return fmt.Sprintf("%s is to go back: %s (refund %s)", p.Amount, p.Reason, p.RefundID), true
	case events.PaymentRefunded:
		return fmt.Sprintf("%s went back (refund %s)", p.Amount, p.RefundID), true
	case events.PaymentRefundFailed:
		return fmt.Sprintf("%s could not go back: %s (refund %s)", p.Amount, p.Reason, p.RefundID), true
	case events.WebhookReceived:
		return fmt.Sprintf("%s %s, via %s", p.StripeType, p.StripeEvent, p.Via), true
	}
	return "", false
}

func ofMessage(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.MessageQueued:
		return "mail " + p.Template, true
	case events.MessageSending:
		return fmt.Sprintf("%s to %s, attempt %d", p.MessageID, p.To, p.Attempt), true
	case events.MessageSent:
		return p.MessageID, true
	case events.MessageFailed:
		return p.MessageID + ": " + p.Error, true
	case events.MessageUnknown:
		return p.MessageID + " may or may not have been sent: " + p.Error, true
	}
	return "", false
}

// ofMachinery is what no domain of the shop says.
func ofMachinery(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.LanePaused:
		if p.Until == nil {
			return p.Lane + " until it is resumed", true
		}
		return fmt.Sprintf("%s until %s", p.Lane, p.Until.UTC().Format(time.DateTime)), true
	case events.EventVoided:
		return fmt.Sprintf("event %d on %s is void: %s", p.Sequence, p.Subject, p.Reason), true
	case events.LaneResumed:
		return p.Lane + " goes on", true
	case events.DeadLettered:
		return fmt.Sprintf("%s could not handle %d: %s", p.Worker, p.Sequence, p.Error), true
	case events.DeadLetterRedriven:
		return fmt.Sprintf("%s has handled %d in attempt %d", p.Worker, p.Sequence, p.Attempt), true
	case events.DeadLetterDiscarded:
		return fmt.Sprintf("%s will not handle %d: %s", p.Worker, p.Sequence, p.Reason), true
	case events.RedeliveryRequested:
		return fmt.Sprintf("%s is to handle %s again: %s", p.Lane, plural(len(p.Sequences), "event"), p.Reason), true
	}
	return "", false
}

func movement(m events.StockMovement, what string) string {
	return fmt.Sprintf("%s: %s; now %d on hand = %d available + %d held", m.SKU, what, m.After.OnHand, m.After.Available, m.After.Held)
}

// shown is how many lines of an order a summary names.
const shown = 3

func lines(of []events.OrderLine) string {
	var names []string
	for _, l := range of[:min(len(of), shown)] {
		names = append(names, fmt.Sprintf("%d × %s", l.Quantity, l.SKU))
	}
	return strings.Join(names, ", ") + more(len(of))
}

func short(of []events.Shortage) string {
	var names []string
	for _, s := range of[:min(len(of), shown)] {
		names = append(names, fmt.Sprintf("%s wants %d, has %d", s.SKU, s.Requested, s.Available))
	}
	return strings.Join(names, ", ") + more(len(of))
}

func more(total int) string {
	if total <= shown {
		return ""
	}
	return fmt.Sprintf(" and %d more", total-shown)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
