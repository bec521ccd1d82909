package events

import "strings"

// Fault is one thing that is wrong with a command: the field, and what is expected of it.
type Fault struct {
	Field   string // JSON path below the body, such as "lines[2].sku"
	Message string
	Value   any // what was sent; nil when it need not be repeated
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
