package events

import "github.com/go-json-experiment/json/jsontext"

// MessageQueued: a mail to the customer is to be sent. Facts has the values of the template that the event decided; customer
// and lines are read from the order's [OrderPlaced] when the mail is rendered.
type MessageQueued struct {
	OrderID   string         `json:"order_id"`
	MessageID string         `json:"message_id"` // the mail's Message-ID without brackets; a repeated mail has the same
	Template  string         `json:"template"`   // such as "order_confirmed"
	Fact      string         `json:"fact"`       // id of the event that the mail is about
	Facts     jsontext.Value `json:"facts"`
}

// EventType implements [Payload].
func (MessageQueued) EventType() string { return "notifications.queued" }

// MessageSending: the mail is about to be sent to the mail server. Without a later event the outcome is unknown.
type MessageSending struct {
	OrderID   string `json:"order_id"`
	MessageID string `json:"message_id"`
	To        string `json:"to"`      // address of the recipient
	Attempt   int    `json:"attempt"` // from 1
}

// EventType implements [Payload].
func (MessageSending) EventType() string { return "notifications.sending" }

// MessageSent: the mail server accepted the mail.
type MessageSent struct {
	OrderID   string `json:"order_id"`
	MessageID string `json:"message_id"`
}

// EventType implements [Payload].
func (MessageSent) EventType() string { return "notifications.sent" }

// MessageFailed: the mail server refused the mail permanently.
type MessageFailed struct {
	OrderID   string `json:"order_id"`
	MessageID string `json:"message_id"`
	Error     string `json:"error"`
}

// EventType implements [Payload].
func (MessageFailed) EventType() string { return "notifications.failed" }

// MessageUnknown: the mail may have been sent, and a mail of its template must not be sent twice. Staff decide what to do.
type MessageUnknown struct {
	OrderID   string `json:"order_id"`
	MessageID string `json:"message_id"`
	Error     string `json:"error"`
}

// EventType implements [Payload].
func (MessageUnknown) EventType() string { return "notifications.unknown" }
