package orders

import (
	"slices"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// onDispute decides what a change of a dispute means for its order.
func onDispute() worker.Route {
	return worker.On(func(tx *eventlog.Tx, e events.Event, p events.PaymentDisputeUpdated) error {
		return decide(tx, p.OrderID, func(o Order) []events.Payload { return o.DisputeUpdated(p, e.Time) })
	})
}

// DisputeUpdated returns the events that follow when the bank opens, changes or closes a dispute. A repeated report, and one from
// before what the order knows, adds nothing. at is when payments recorded the report.
func (o Order) DisputeUpdated(p events.PaymentDisputeUpdated, at time.Time) []events.Payload {
	known, exists := o.Dispute(p.Dispute)
	same := known.Status == p.Status && known.EvidenceDue.Equal(p.EvidenceDue) && known.Amount == p.Amount
	switch {
	case !o.Exists(), exists && (same || !at.After(known.ReportedAt)):
		return nil
	case events.DisputeClosed(p.Status) && known.Status == p.Status && known.Amount == p.Amount:
		return nil // the money moved, or a date passed
	case events.DisputeClosed(p.Status):
		return []events.Payload{events.OrderDisputeClosed{OrderOutcome: o.outcome(), Dispute: p.Dispute, Status: p.Status, Reason: p.Reason, Amount: p.Amount, ReportedAt: at}}
	}
	return []events.Payload{events.OrderDisputed{OrderOutcome: o.outcome(), Dispute: p.Dispute, Status: p.Status, Reason: p.Reason, Amount: p.Amount,
		EvidenceDue: p.EvidenceDue, ReportedAt: at}}
}

// Dispute returns the dispute with an id.
func (o Order) Dispute(id string) (Dispute, bool) {
	at := slices.IndexFunc(o.Disputes, func(d Dispute) bool { return d.ID == id })
	if at < 0 {
		return Dispute{}, false
	}
	return o.Disputes[at], true
}
