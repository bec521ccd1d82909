package events

import "github.com/go-json-experiment/json/jsontext"

// MessageQueued: the customer is to be told something. Facts is what the outcome decided, as the template needs it; who
// ordered what is read from the order's [OrderPlaced] when the mail is written.
type MessageQueued struct {
	OrderID   string         `json:"order_id"`
	MessageID string         `json:"message_id"` // the mail's Message-ID without brackets: stable, so that a repeat can be recognised
	Template  string         `json:"template"`   // such as "order_confirmed"
	Fact      string         `json:"fact"`       // id of the event that is told
	Facts     jsontext.Value `json:"facts"`
}

// EventType implements [Payload].
func (MessageQueued) EventType() string { return "notifications.queued" }

// MessageSending: the next line is SMTP. Without a following result the outcome is unknown.
type MessageSending struct {
	OrderID   string `json:"order_id"`
	MessageID string `json:"message_id"`
	To        string `json:"to"`      // the address that it goes to
	Attempt   int    `json:"attempt"` // from 1
}

// EventType implements [Payload].
func (MessageSending) EventType() string { return "notifications.sending" }

// MessageSent: the mail server took it.
type MessageSent struct {
	OrderID   string `json:"order_id"`
	MessageID string `json:"message_id"`
}

// EventType implements [Payload].
func (MessageSent) EventType() string { return "notifications.sent" }

// MessageFailed: the mail server refused it for good.
type MessageFailed struct {
	OrderID   string `json:"order_id"`
	MessageID string `json:"message_id"`
	Error     string `json:"error"`
}

// EventType implements [Payload].
func (MessageFailed) EventType() string { return "notifications.failed" }

// MessageUnknown: it may or may not have been sent, and its template is not one that may be sent twice. Staff decide.
type MessageUnknown struct {
	OrderID   string `json:"order_id"`
	MessageID string `json:"message_id"`
	Error     string `json:"error"`
}

// EventType implements [Payload].
func (MessageUnknown) EventType() string { return "notifications.unknown" }
