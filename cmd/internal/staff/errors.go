package staff

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrBadName is returned for a name that is not 1 to 40 of lower-case letters, digits and -.
	ErrBadName = errors.New("bad name")
	// ErrBadPassword is returned for a password that is too short, too long or the name of the account.
	ErrBadPassword = errors.New("bad password")
	// ErrBadKey is returned for an API key without permissions, with an unknown one, or that has expired already.
	ErrBadKey = errors.New("bad API key")
	// ErrCannotFollow is returned for an event that cannot follow the state of its entity.
	ErrCannotFollow = errors.New("event cannot follow")
	// ErrExists is returned when an account or a key with the name exists.
	ErrExists = errors.New("exists already")
	// ErrLastAdmin is returned for a change after which no admin could sign in.
	ErrLastAdmin = errors.New("the last admin must stay")
	// ErrNotYours is returned when an API key gives somebody a permission that it does not have.
	ErrNotYours = errors.New("a key cannot give what it may not do itself")
	// ErrNoReason is returned for a change by or about staff without a reason.
	ErrNoReason = errors.New("no reason given")
	// ErrNoSecret is returned when passwords or codes are involved and the service has no secret.
	ErrNoSecret = errors.New("the secret of the shop is not known")
	// ErrNotFound is returned when no account, key or link matches.
	ErrNotFound = errors.New("not found")
	// ErrRefused is returned for a name, password or code that is wrong. It does not say which.
	ErrRefused = errors.New("name, password or code is wrong")
	// ErrSealed is returned for a password or secret that none of the shop's secrets opens.
	ErrSealed = errors.New("sealed with a secret that the shop no longer has")
)

// LockedError is returned after too many failed attempts to sign in, for the account or from the address.
type LockedError struct{ Until time.Time }

// Error implements error: when the next attempt is possible.
func (e *LockedError) Error() string {
	return fmt.Sprintf("too many failed attempts to sign in: try again at %s", e.Until.UTC().Format("15:04:05 MST"))
}
