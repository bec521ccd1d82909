package events

import (
	"errors"
	"fmt"
	"regexp"
)

// ErrBadID is returned when an id cannot be a token of a subject.
var ErrBadID = errors.New("invalid id")

// An id becomes one token of a NATS subject. The broker stores wildcards and dots as published, and a 5,000-byte
// subject closes the connection for good, so anything else is refused before it gets near one.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckID returns [ErrBadID] unless id matches ^[A-Za-z0-9_-]{1,64}$.
func CheckID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%w: %.80q: want 1 to 64 of letters, digits, _ and -", ErrBadID, id)
	}
	return nil
}
