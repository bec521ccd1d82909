package notifications

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/events"
)

// Status is the state of a message.
type Status string

// The states of a message. The package comment draws how they follow each other.
const (
	StatusQueued  Status = "queued"
	StatusSending Status = "sending"
	StatusSent    Status = "sent"
	StatusFailed  Status = "failed"
	StatusUnknown Status = "unknown"
)

// Notification is the messages about one order.
type Notification struct {
	OrderID  string    `json:"order_id"`
	Messages []Message `json:"messages"` // in the order in which they were queued
}

// Message is the state of one mail. Its content is in its queued event.
type Message struct {
	ID        string    `json:"message_id"` // without brackets
	Template  string    `json:"template"`
	To        string    `json:"to,omitempty"` // address of the last attempt
	Fact      string    `json:"fact"`         // id of the event that the mail is about
	Status    Status    `json:"status"`
	Attempt   int       `json:"attempt"` // number of attempts to transmit it
	Error     string    `json:"error,omitempty"`
	QueuedAt  time.Time `json:"queued_at"`
	ChangedAt time.Time `json:"changed_at"`
}

// key identifies a message by its id without the sender's domain, so that no mail is sent again after the domain has changed.
func (m Message) key() string { return localPart(m.ID) }

func localPart(messageID string) string {
	local, _, _ := strings.Cut(messageID, "@")
	return local
}

// find returns the index of a message, -1 if there is none.
func (n Notification) find(messageID string) int {
	return slices.IndexFunc(n.Messages, func(m Message) bool { return m.ID == messageID })
}

// Message returns a message by its id.
func (n Notification) Message(id string) (Message, bool) {
	if i := n.find(id); i >= 0 {
		return n.Messages[i], true
	}
	return Message{}, false
}

// transitions lists the states that each state may follow.
var transitions = map[Status][]Status{
	StatusSending: {StatusQueued, StatusSending},
	StatusSent:    {StatusSending, StatusUnknown},
	StatusFailed:  {StatusQueued, StatusSending},
	StatusUnknown: {StatusSending},
}

// canBecome reports whether a message may enter a state.
func (m Message) canBecome(next Status) bool { return slices.Contains(transitions[next], m.Status) }

// Apply folds one event. It returns an error for an event that cannot follow the state.
func Apply(n Notification, e events.Event) (Notification, error) {
	switch p := e.Payload.(type) {
	case events.MessageQueued:
		return n.queue(p, e.Time)
	case events.MessageSending:
		return n.move(p.MessageID, StatusSending, e.Time, func(m *Message) { m.To, m.Attempt = p.To, p.Attempt })
	case events.MessageSent:
		return n.move(p.MessageID, StatusSent, e.Time, func(m *Message) { m.Error = "" })
	case events.MessageFailed:
		return n.move(p.MessageID, StatusFailed, e.Time, func(m *Message) { m.Error = p.Error })
	case events.MessageUnknown:
		return n.move(p.MessageID, StatusUnknown, e.Time, func(m *Message) { m.Error = p.Error })
	}
	return n, fmt.Errorf("apply %s: not an event of a notification", e.Type)
}

func (n Notification) queue(p events.MessageQueued, at time.Time) (Notification, error) {
	if n.find(p.MessageID) >= 0 {
		return n, fmt.Errorf("queue message %s: it is queued already", p.MessageID)
	}
	n.OrderID = p.OrderID
	n.Messages = append(slices.Clip(n.Messages), Message{
		ID: p.MessageID, Template: p.Template, Fact: p.Fact,
		Status: StatusQueued, QueuedAt: at, ChangedAt: at,
	})
	return n, nil
}

// move enters a state. It copies the slice, because transactions share states.
func (n Notification) move(messageID string, next Status, at time.Time, change func(*Message)) (Notification, error) {
	i := n.find(messageID)
	if i < 0 {
		return n, fmt.Errorf("message %s cannot become %s: no such message", messageID, next)
	}
	if !n.Messages[i].canBecome(next) {
		return n, fmt.Errorf("message %s cannot become %s: it is %s", messageID, next, n.Messages[i].Status)
	}
	n.Messages = slices.Clone(n.Messages)
	m := &n.Messages[i]
	m.Status, m.ChangedAt = next, at
	change(m)
	return n, nil
}
