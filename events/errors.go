package events

import (
	"errors"
	"strings"
)

var (
	// ErrBadID is returned for an id or a SKU that cannot name an entity.
	ErrBadID = errors.New("invalid id")
	// ErrMoney is returned when an amount overflows, is negative where it must not be, cannot be charged, or mixes currencies.
	ErrMoney = errors.New("invalid money")
)

// Errors of [Decode]. A message that fails with any of them but ErrNewer becomes a dead letter.
var (
	// ErrNotAnEvent is returned for a message without the CloudEvents headers, which the shop did not write.
	ErrNotAnEvent = errors.New("not an event")
	// ErrUnknownType is returned for a type without a [Definition].
	ErrUnknownType = errors.New("unknown event type")
	// ErrUnknownVersion is returned for a version below 1 or above that of the [Definition].
	ErrUnknownVersion = errors.New("unknown event version")
	// ErrNewer is returned for an event of a newer release that this program cannot read. It is not a dead letter, because the
	// newer release handles it.
	ErrNewer = errors.New("written by a newer release")
	// ErrBadPayload is returned for a body that is not the JSON of its type.
	ErrBadPayload = errors.New("bad event payload")
)

// Fault is one fault of a command: a field, and the requirement that its value does not meet.
type Fault struct {
	Field   string // JSON path below the body, such as "lines[2].sku"
	Message string
	Value   any // the value that was sent; nil if it need not be repeated
}

// InvalidError is returned for a command that cannot be carried out as it was sent. It lists every fault, so that all of
// them can be corrected at once.
type InvalidError struct{ Faults []Fault }

// Error implements error: every field with its message.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = f.Field + ": " + f.Message
	}
	return strings.Join(parts, "; ")
}
