package staff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

// KeyPrefix is how every API key begins, so that people and secret scanners recognise one.
const KeyPrefix = "tsk_"

// Key is an API key of a program.
type Key struct {
	Name        string
	Permissions []api.Permission
	Made        time.Time
	MadeBy      string    // the actor
	Expires     time.Time // zero: never
	Revoked     bool

	sum string // SHA-256 of the key
}

// Keys are the API keys, by name.
var Keys = eventlog.Entity[Key]{Prefix: events.PrefixKey, Apply: Key.Apply}

// Exists reports whether there is a key: it was made, and not revoked since.
func (k Key) Exists() bool { return k.sum != "" && !k.Revoked }

// Apply returns the key after one of its events, or [ErrCannotFollow].
func (k Key) Apply(e events.Event) (Key, error) {
	switch p := e.Payload.(type) {
	case events.KeyMade:
		if k.Exists() {
			break
		}
		key := Key{Name: p.Name, Made: e.Time, MadeBy: e.Actor, sum: p.SHA256}
		for _, permission := range p.Permissions {
			key.Permissions = append(key.Permissions, api.Permission(permission))
		}
		if p.Expires != nil {
			key.Expires = *p.Expires
		}
		return key, nil
	case events.KeyRevoked:
		if !k.Exists() {
			break
		}
		k.Revoked = true
		return k, nil
	}
	return k, fmt.Errorf("%w: %s of the API key %.60q", ErrCannotFollow, e.Type, k.Name)
}

// Is reports whether an API key is this one, be it valid or not.
func (k Key) Is(key string) bool { return k.sum == sumOf(key) }

// valid reports whether the key can be used at a time.
func (k Key) valid(now time.Time) bool { return k.Exists() && !k.Expired(now) }

// Expired reports whether the key has expired at a time.
func (k Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// Principal returns the program as the sender of a request.
func (k Key) Principal() api.Principal {
	return api.Principal{Actor: events.ActorKey + k.Name, Permissions: k.Permissions}
}

// CheckPermissions returns [ErrBadKey] unless there are permissions, and all of them are known.
func CheckPermissions(permissions []api.Permission) error {
	if len(permissions) == 0 {
		return fmt.Errorf("%w: it needs at least one permission", ErrBadKey)
	}
	all := api.Permissions()
	for _, p := range permissions {
		if !slices.Contains(all, p) {
			names := make([]string, len(all))
			for i, known := range all {
				names[i] = string(known)
			}
			return fmt.Errorf("%w: unknown permission %.60q: want %s", ErrBadKey, p, strings.Join(names, ", "))
		}
	}
	return nil
}
