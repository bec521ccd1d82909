package notifications

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/events"
)

// Status is how far a message has come.
type Status string

// The life of a message; see the diagram in the package comment.
const (
	StatusQueued  Status = "queued"
	StatusSending Status = "sending"
	StatusSent    Status = "sent"
	StatusFailed  Status = "failed"
	StatusUnknown Status = "unknown"
)

// Notification is what a customer is told about one order.
type Notification struct {
	OrderID  string    `json:"order_id"`
	Messages []Message `json:"messages"` // in the order that they were queued
}

// Message is one mail. What it says stands in its queued event; the state needs only what decides.
type Message struct {
	ID        string    `json:"message_id"` // without brackets
	Template  string    `json:"template"`
	To        string    `json:"to,omitempty"` // the address that it was handed over for last
	Fact      string    `json:"fact"`         // id of the event that is told
	Status    Status    `json:"status"`
	Attempt   int       `json:"attempt"` // times that its bytes were handed to a mail server
	Error     string    `json:"error,omitempty"`
	QueuedAt  time.Time `json:"queued_at"`
	ChangedAt time.Time `json:"changed_at"`
}

// key tells messages of one order apart whatever domain the shop sends from: a shop that moves must not tell it all again.
func (m Message) key() string { return localPart(m.ID) }

func localPart(messageID string) string {
	local, _, _ := strings.Cut(messageID, "@")
	return local
}

// find returns the place of a message, -1 when there is none.
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

// before lists the states that a message may be in when it enters another one.
var before = map[Status][]Status{
	StatusSending: {StatusQueued, StatusSending},
	StatusSent:    {StatusSending, StatusUnknown},
	StatusFailed:  {StatusQueued, StatusSending},
	StatusUnknown: {StatusSending},
}

// can reports whether a message may enter a state.
func (m Message) can(next Status) bool { return slices.Contains(before[next], m.Status) }

// Apply applies one event. It returns an error for an event that cannot follow.
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
	return n, fmt.Errorf("a notification has no %s", e.Type)
}

func (n Notification) queue(p events.MessageQueued, at time.Time) (Notification, error) {
	if n.find(p.MessageID) >= 0 {
		return n, fmt.Errorf("message %s is queued already", p.MessageID)
	}
	n.OrderID = p.OrderID
	n.Messages = append(slices.Clip(n.Messages), Message{
		ID: p.MessageID, Template: p.Template, Fact: p.Fact,
		Status: StatusQueued, QueuedAt: at, ChangedAt: at,
	})
	return n, nil
}

// move enters a state. The slice is copied because states are shared between transactions.
func (n Notification) move(messageID string, next Status, at time.Time, change func(*Message)) (Notification, error) {
	i := n.find(messageID)
	if i < 0 {
		return n, fmt.Errorf("no message %s to become %s", messageID, next)
	}
	if !n.Messages[i].can(next) {
		return n, fmt.Errorf("message %s is %s and cannot become %s", messageID, n.Messages[i].Status, next)
	}
	n.Messages = slices.Clone(n.Messages)
	m := &n.Messages[i]
	m.Status, m.ChangedAt = next, at
	change(m)
	return n, nil
}
