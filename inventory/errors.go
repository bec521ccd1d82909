package inventory

import (
	"errors"
	"strings"
)

var (
	// ErrCannotFollow is returned when an event says something that the state before it rules out, such as confirming an
	// order for which nothing is held. It becomes a dead letter: somebody must look.
	ErrCannotFollow = errors.New("event cannot follow")
	// ErrBadDemand is returned when what an order wants cannot be counted: no lines, or a quantity that is not positive
	// or out of range.
	ErrBadDemand = errors.New("bad demand")
	// ErrBelowHeld is returned when an adjustment would leave less on hand than is held for orders.
	ErrBelowHeld = errors.New("less than is held for orders")
	// ErrOutOfRange is returned when a level would leave 0 to [MaxQuantity].
	ErrOutOfRange = errors.New("quantity out of range")
)

// FieldError is one thing that is wrong with what staff sent.
type FieldError struct {
	Field   string // JSON path below the body, such as "price.amount"
	Message string
}

// InvalidError is returned when a [Listing] or an adjustment is refused for what it says.
type InvalidError struct {
	Fields []FieldError
}

// Error implements error: every field with its message.
func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		parts[i] = f.Field + ": " + f.Message
	}
	return strings.Join(parts, "; ")
}
