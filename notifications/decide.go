package notifications

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"tillstream/events"
)

// Queue returns the event that queues the message about an outcome, or none if it is queued already. fact is the id of the event
// of the outcome. A template is queued once per order, order_refunded once per refund, staff_dispute once per
// status of a dispute, and none twice for the same event.
func (n Notification) Queue(o Outcome, fact, domain string) ([]events.Payload, error) {
	id := messageID(o, domain)
	for _, m := range n.Messages {
		if m.key() == localPart(id) || (m.Fact == fact && m.Template == o.Template) {
			return nil, nil
		}
	}
	facts, err := json.Marshal(o.Facts, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode facts of message %s: %w", id, err)
	}
	return []events.Payload{events.MessageQueued{
		OrderID: o.Facts.OrderID, MessageID: id, Template: o.Template, Fact: fact, Facts: facts,
	}}, nil
}

// notInID matches characters that do not belong in a Message-ID. RFC 5322 §3.6.4 allows more, but not all mail programs do.
var notInID = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// messageID derives the Message-ID from the content of a mail, so that mail programs recognize a duplicate.
func messageID(o Outcome, domain string) string {
	local := o.Facts.OrderID + "." + o.Template
	if o.Facts.RefundID != "" {
		local += "." + notInID.ReplaceAllString(o.Facts.RefundID, "_")
	}
	if d := o.Facts.Dispute; d != nil {
		local += "." + notInID.ReplaceAllString(d.ID, "_") + "." + notInID.ReplaceAllString(d.Status, "_")
	}
	return local + "@" + domain
}

// neverResent lists the templates that are not sent again when the delivery is unknown. A customer who reads about a refund
// twice expects the money twice.
var neverResent = []string{TemplateRefunded}

// maxUnanswered is the number of attempts without an answer after which a mail of any template is left to staff. A server that
// accepts every mail and never answers must not flood the customer.
const maxUnanswered = 3

// canResend reports whether a mail may be sent again after an attempt without an answer.
func (m Message) canResend() bool {
	return !slices.Contains(neverResent, m.Template) && m.Attempt < maxUnanswered
}

// Step is what an act does next with its message.
type Step int

// The steps.
const (
	StepNothing Step = iota // the message has ended
	StepSend                // send it now
	StepWait                // another process may be sending it: decide again later
	StepGiveUp              // the process that was sending it has died, and it must not be sent again: staff decide
)

// Next returns the next step of a message and how long to wait before it. The process that appended notifications.sending
// owns the message until the timeout, after which it is considered dead. concluded is the last attempt of which this process
// knows that it ended without delivery, 0 for none; such an attempt is not waited for.
func (m Message) Next(now time.Time, timeout time.Duration, concluded int) (Step, time.Duration) {
	switch m.Status {
	case StatusQueued:
		return StepSend, 0
	case StatusSending:
		if concluded >= m.Attempt {
			return StepSend, 0
		}
		if left := m.ChangedAt.Add(timeout).Sub(now); left > 0 {
			return StepWait, left
		}
		if m.canResend() {
			return StepSend, 0
		}
		return StepGiveUp, 0
	}
	return StepNothing, 0
}

// Start returns the event of the next attempt to send a message to an address. Call it only when Next returns StepSend.
func (m Message) Start(orderID, to string) events.MessageSending {
	return events.MessageSending{OrderID: orderID, MessageID: m.ID, To: to, Attempt: m.Attempt + 1}
}

// Settle returns the result as the event to append if the state of its message allows it, and nothing for a repeated result.
func (n Notification) Settle(result events.Payload) []events.Payload {
	id, next := resultOf(result)
	m, ok := n.Message(id)
	if !ok || !m.canBecome(next) {
		return nil
	}
	return []events.Payload{result}
}

func resultOf(result events.Payload) (messageID string, next Status) {
	switch p := result.(type) {
	case events.MessageSent:
		return p.MessageID, StatusSent
	case events.MessageFailed:
		return p.MessageID, StatusFailed
	case events.MessageUnknown:
		return p.MessageID, StatusUnknown
	}
	return "", ""
}

// retrySchedule has the delays between the attempts of a deferred mail. Greylisting takes minutes, an outage hours.
var retrySchedule = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
	5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

// giveUpAfter is how long a mail is retried before it fails. It must be longer than a weekend. Mail servers themselves retry for
// four to five days (RFC 5321 §4.5.4.1).
const giveUpAfter = 4 * 24 * time.Hour

// Backoff returns the delay after an attempt, from 1, that was deferred.
func Backoff(attempt int) time.Duration {
	return retrySchedule[min(max(attempt, 1), len(retrySchedule))-1]
}

// Overdue reports whether a message has been retried for giveUpAfter, so that it fails.
func (m Message) Overdue(now time.Time) bool { return now.Sub(m.QueuedAt) >= giveUpAfter }
