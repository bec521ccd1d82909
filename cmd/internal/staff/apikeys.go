package staff

import (
	"context"
	"fmt"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	eventlog "tillstream/events/log"
)

// NewAPIKey is an API key that is about to be made.
type NewAPIKey struct {
	Name        string // see [CheckName]
	Permissions []api.Permission
	Expires     time.Time // zero: never
}

// check returns an error that says what is wrong with a new key.
func (k NewAPIKey) check(now time.Time) error {
	if err := CheckName(k.Name); err != nil {
		return err
	}
	if !k.Expires.IsZero() && !k.Expires.After(now) {
		return fmt.Errorf("%w: it would have expired at %s", ErrBadKey, k.Expires.UTC().Format(time.RFC3339))
	}
	return CheckPermissions(k.Permissions)
}

// fact returns the event that makes the key.
func (k NewAPIKey) fact(key string) events.KeyMade {
	made := events.KeyMade{Name: k.Name, SHA256: sumOf(key)}
	for _, permission := range k.Permissions {
		made.Permissions = append(made.Permissions, string(permission))
	}
	if !k.Expires.IsZero() {
		utc := k.Expires.UTC().Truncate(time.Second)
		made.Expires = &utc
	}
	return made
}

// MakeKey makes an API key and returns it. The log has only its SHA-256, so it can be shown once. It returns [ErrExists],
// [ErrBadKey] or [ErrNotYours].
func (s *Service) MakeKey(ctx context.Context, k NewAPIKey, author events.Author) (key string, err error) {
	if err := k.check(s.log.Now()); err != nil {
		return "", err
	}
	if author, err = CheckReason(author); err != nil {
		return "", err
	}
	if err := s.checkGrant(author, k.Permissions); err != nil {
		return "", err
	}
	key = NewKey()
	return key, s.changeKey(ctx, k.Name, author, func(existing Key) ([]events.Payload, error) {
		if existing.Exists() {
			return nil, fmt.Errorf("%w: API key %s; revoke it first, or choose another name", ErrExists, k.Name)
		}
		return one(k.fact(key)), nil
	})
}

// KeepKey makes sure that a key that its holder keeps, such as that of a shop in one process for the tools on its machine, is
// known. A key that staff have revoked stays revoked. It reports whether the key can be used.
func (s *Service) KeepKey(ctx context.Context, k NewAPIKey, key string, author events.Author) (usable bool, err error) {
	if err := k.check(s.log.Now()); err != nil {
		return false, err
	}
	return usable, s.changeKey(ctx, k.Name, author, func(existing Key) (facts []events.Payload, err error) {
		if existing.Is(key) {
			usable = existing.valid(s.log.Now())
			return nil, nil
		}
		if usable = true; existing.Exists() {
			facts = append(facts, events.KeyRevoked{Name: k.Name})
		}
		return append(facts, k.fact(key)), nil
	})
}

// RevokeKey revokes an API key at once. It returns [ErrNotFound].
func (s *Service) RevokeKey(ctx context.Context, name string, author events.Author) (err error) {
	if author, err = CheckReason(author); err != nil {
		return err
	}
	return s.changeKey(ctx, name, author, func(existing Key) ([]events.Payload, error) {
		if !existing.Exists() {
			return nil, fmt.Errorf("%w: API key %s", ErrNotFound, name)
		}
		return one(events.KeyRevoked{Name: name}), nil
	})
}

func (s *Service) changeKey(ctx context.Context, name string, author events.Author, decide func(Key) ([]events.Payload, error)) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return s.commit(ctx, author, func(tx *eventlog.Tx) error {
		key, err := Keys.Load(tx, name)
		if err != nil {
			return err
		}
		facts, err := decide(key)
		if err != nil {
			return err
		}
		return Keys.Append(tx, name, facts...)
	})
}
