package notifications

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"tillstream/events"
)

// Queue decides whether an outcome is still to be told. A template is queued once per order, order_refunded once per
// refund, and never twice for the same event; whoever delivers the event again gets nothing.
func (n Notification) Queue(o Outcome, fact, domain string) ([]events.Payload, error) {
	id := messageID(o, domain)
	for _, m := range n.Messages {
		if m.key() == localPart(id) || (m.Fact == fact && m.Template == o.Template) {
			return nil, nil
		}
	}
	facts, err := json.Marshal(o.Facts, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("freeze the facts of %s: %w", id, err)
	}
	return []events.Payload{events.MessageQueued{
		OrderID: o.Facts.OrderID, MessageID: id, Template: o.Template, Fact: fact, Facts: facts,
	}}, nil
}

// notInID is what a Message-ID had better not contain (RFC 5322 §3.6.4 allows more, mail programs understand this).
var notInID = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// messageID names a mail by what it tells, so that a repeat of it is recognised as one.
func messageID(o Outcome, domain string) string {
	local := o.Facts.OrderID + "." + o.Template
	if o.Facts.RefundID != "" {
		local += "." + notInID.ReplaceAllString(o.Facts.RefundID, "_")
	}
	return local + "@" + domain
}

// neverResent lists the templates that are not sent again when nobody knows whether they went out. A customer who
// reads twice that money was sent back expects it twice.
var neverResent = []string{TemplateRefunded}

// maxUnanswered is after how many hand-overs a mail whose outcome stays open is left to staff whatever its template: a
// server that takes every mail and answers none must not flood the customer.
const maxUnanswered = 3

// canResend reports whether a mail may be sent once more after a hand-over without an answer.
func (m Message) canResend() bool {
	return !slices.Contains(neverResent, m.Template) && m.Attempt < maxUnanswered
}

// Step says what an act does next about its message.
type Step int

// The steps.
const (
	StepNothing Step = iota // it is settled
	StepSend                // hand it over now
	StepWait                // somebody may be at it: look again later
	StepGiveUp              // nobody is at it any more and it may not be repeated: leave it to staff
)

// Next decides what an act does about a message that is queued, or was when its event was written. A message that is
// being sent belongs to whoever said so until the claim has passed; after that he is dead. concluded is an attempt that
// this process itself saw end without delivery (0 for none): there is nothing to wait for and nothing unknown about it.
func (m Message) Next(now time.Time, claim time.Duration, concluded int) (Step, time.Duration) {
	switch m.Status {
	case StatusQueued:
		return StepSend, 0
	case StatusSending:
		if concluded >= m.Attempt {
			return StepSend, 0
		}
		if left := m.ChangedAt.Add(claim).Sub(now); left > 0 {
			return StepWait, left
		}
		if m.canResend() {
			return StepSend, 0
		}
		return StepGiveUp, 0
	}
	return StepNothing, 0
}

// Start states that a message is about to be handed over, for an address. Nothing is stated unless Next says StepSend.
func (m Message) Start(orderID, to string) events.MessageSending {
	return events.MessageSending{OrderID: orderID, MessageID: m.ID, To: to, Attempt: m.Attempt + 1}
}

// Settle states the result of a message, if it may still have one: the same result again states nothing.
func (n Notification) Settle(result events.Payload) []events.Payload {
	id, next := resultOf(result)
	m, ok := n.Message(id)
	if !ok || !m.can(next) {
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

// retrySchedule is when a mail that the server cannot take now is offered again. Greylisting wants minutes, an outage hours.
var retrySchedule = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
	5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

// giveUpAfter is how long a mail is offered before it counts as failed: about what mail servers do among themselves
// (RFC 5321 §4.5.4.1 asks for four to five days), and long enough for a weekend.
const giveUpAfter = 4 * 24 * time.Hour

// Backoff is how long to wait after an attempt (from 1) that was put off.
func Backoff(attempt int) time.Duration {
	return retrySchedule[min(max(attempt, 1), len(retrySchedule))-1]
}

// Overdue reports whether a message has been offered for long enough.
func (m Message) Overdue(now time.Time) bool { return now.Sub(m.QueuedAt) >= giveUpAfter }
