package replay

import (
	"fmt"
	"strings"
	"time"

	"tillstream/events"
)

// Summary describes an event in one line.
func Summary(e events.Event) string {
	for _, summarize := range []func(events.Event) (string, bool){ofOrder, ofDelivery, ofInventory, ofPayment, ofRefunds, ofDisputes, ofMail, ofOperations, ofAccounts} {
		if text, ok := summarize(e); ok {
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
		return fmt.Sprintf("stock is held; %s is due by %s", p.Amount, clock(p.ExpiresAt)), true
	case events.OrderPaymentAccepted:
		return fmt.Sprintf("accepts the payment of %s", p.Amount), true
	case events.OrderConfirmed:
		if p.Authorized {
			return "authorized; the stock is sold", true
		}
		return "paid; the stock is sold", true
	case events.OrderRejected:
		return strings.TrimSuffix("because "+p.Reason+": "+short(p.Short), ": "), true
	case events.OrderExpired:
		return "not paid in time", true
	case events.OrderCancelled:
		return fmt.Sprintf("%s, by %s", p.Reason, e.Actor), true
	case events.OrderPaidLate:
		return fmt.Sprintf("%s was paid after the order ended; stock is requested again", p.Amount), true
	case events.OrderRefunded:
		return fmt.Sprintf("%s refunded (refund %s)", p.Amount, p.RefundID), true
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
		return "the stock is released", true
	case events.ReservationCommitted:
		return "the held stock is sold", true
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
		return "the bank requires authentication", true
	case events.PaymentProcessing:
		return "the bank is processing the payment", true
	case events.PaymentDeclined:
		return strings.TrimSpace(p.Code+" "+p.DeclineCode) + ": " + p.Message, true
	case events.PaymentAuthorized:
		return fmt.Sprintf("%s authorized", p.Amount), true
	case events.PaymentCaptured:
		return fmt.Sprintf("%s captured", p.Amount), true
	}
	return ofPaymentEnd(e)
}

func ofPaymentEnd(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.PaymentCancelRequested:
		if p.Force {
			return p.Reason + "; an authorization is cancelled too", true
		}
		return p.Reason, true
	case events.PaymentCancelled:
		return p.Reason, true
	case events.PaymentFailed:
		return p.Code + ": " + p.Message, true
	case events.PaymentRefundRequested:
		return fmt.Sprintf("refund of %s requested: %s (refund %s)", p.Amount, p.Reason, p.RefundID), true
	case events.PaymentRefunded:
		return fmt.Sprintf("%s refunded (refund %s)", p.Amount, p.RefundID), true
	case events.PaymentRefundFailed:
		return fmt.Sprintf("refund of %s failed: %s (refund %s)", p.Amount, p.Reason, p.RefundID), true
	case events.WebhookReceived:
		return fmt.Sprintf("%s %s, via %s", p.StripeType, p.StripeEvent, p.Via), true
	}
	return "", false
}

func ofMail(e events.Event) (string, bool) {
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
		return p.MessageID + ": unknown whether it was sent: " + p.Error, true
	}
	return "", false
}

// ofOperations describes the events of lanes and operators.
func ofOperations(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.LanePaused:
		if p.Until == nil {
			return p.Lane + " paused until it is resumed", true
		}
		return fmt.Sprintf("%s paused until %s", p.Lane, p.Until.UTC().Format(time.DateTime)), true
	case events.EventVoided:
		return fmt.Sprintf("event %d on %s is void: %s", p.Sequence, p.Subject, p.Reason), true
	case events.LaneResumed:
		return p.Lane + " resumed", true
	case events.DeadLettered:
		return fmt.Sprintf("%s could not handle %d: %s", p.Worker, p.Sequence, p.Error), true
	case events.DeadLetterRedriven:
		return fmt.Sprintf("%s has handled %d in attempt %d", p.Worker, p.Sequence, p.Attempt), true
	case events.DeadLetterDiscarded:
		return fmt.Sprintf("%s will not handle %d: %s", p.Worker, p.Sequence, p.Reason), true
	case events.ActionRecorded:
		return strings.Join(append([]string{p.Action}, p.Arguments...), " ") + ": " + p.Outcome, true
	case events.RedeliveryRequested:
		return fmt.Sprintf("%s is to handle %s again: %s", p.Lane, plural(len(p.Sequences), "event"), p.Reason), true
	}
	return ofReplays(e)
}

// ofReplays describes the events of replays.
func ofReplays(e events.Event) (string, bool) {
	switch p := e.Payload.(type) {
	case events.ReplayRequested:
		return fmt.Sprintf("%s of %d to %d to be handled again by %s: %s", plural(p.Events, "event"), p.Selection.From, p.Selection.To,
			strings.Join(p.Selection.Lanes, ", "), p.Reason), true
	case events.ReplayApproved:
		return "replay approved", true
	case events.ReplayStopped:
		return "replay stopped: " + p.Reason, true
	case events.ReplayResumed:
		return "replay resumed: " + p.Reason, true
	case events.ReplayBatchRequested:
		return fmt.Sprintf("%s is to handle %s up to %d again", p.Lane, plural(len(p.Sequences), "event"), p.Position), true
	case events.ReplayFinished:
		return "replay finished: " + ofCounts(p.ReplayCounts), true
	case events.Replayed:
		return p.Worker + " has replayed a batch: " + ofCounts(p.ReplayCounts), true
	}
	return "", false
}

func ofCounts(c events.ReplayCounts) string {
	return fmt.Sprintf("%s handled, %s appended, %s made before, %d opened, %d failed", plural(c.Handled, "event"), plural(c.Appended(), "fact"),
		plural(c.Done, "act"), c.Opened, c.Failed)
}

func movement(m events.StockMovement, change string) string {
	return fmt.Sprintf("%s: %s; now %d on hand = %d available + %d held", m.SKU, change, m.After.OnHand, m.After.Available, m.After.Held)
}

// maxNamed is the largest number of order lines that a summary names.
const maxNamed = 3

func lines(of []events.OrderLine) string {
	var names []string
	for _, l := range of[:min(len(of), maxNamed)] {
		names = append(names, fmt.Sprintf("%d × %s", l.Quantity, l.SKU))
	}
	return strings.Join(names, ", ") + more(len(of))
}

func short(of []events.Shortage) string {
	var names []string
	for _, s := range of[:min(len(of), maxNamed)] {
		names = append(names, fmt.Sprintf("%s (%d requested, %d available)", s.SKU, s.Requested, s.Available))
	}
	return strings.Join(names, ", ") + more(len(of))
}

func more(total int) string {
	if total <= maxNamed {
		return ""
	}
	return fmt.Sprintf(" and %d more", total-maxNamed)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
