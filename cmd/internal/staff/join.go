package staff

import (
	"context"
	"fmt"
	"time"

	"tillstream/events"
)

// Accept sets the password of the account that a link is for, and uses the link up. via is from where. It returns [ErrNotFound]
// for a link that does not work, [ErrBadPassword] or [ErrNoSecret].
func (s *Service) Accept(ctx context.Context, token, password, via string) (name string, err error) {
	account, ok := s.directory.Link(token)
	if !ok {
		return "", fmt.Errorf("%w: the link was used, replaced or has expired; an admin can make another with ops staff link", ErrNotFound)
	}
	name = account.Name
	sealed, err := s.sealPassword(ctx, name, password, events.StaffJoined{}.EventType())
	if err != nil {
		return "", err
	}
	return name, s.changeAccount(ctx, name, authorOf(name, via), func(a Account, now time.Time) ([]events.Payload, error) {
		if !a.accepts(token, now) {
			return nil, fmt.Errorf("%w: the link was used meanwhile", ErrNotFound)
		}
		return one(events.StaffJoined{Name: name, Password: sealed}), nil
	})
}

// ChangePassword sets another password. All sessions end but one, which has the id of the session in which the password is
// changed. It returns [ErrRefused] for a wrong old password, a [*LockedError], [ErrBadPassword] or [ErrNoSecret].
func (s *Service) ChangePassword(ctx context.Context, name, session, old, password, address, via string) error {
	fact := events.StaffPasswordChanged{Name: name, Session: session}
	checked, err := s.check(ctx, Credentials{Name: name, Password: old, Address: address}, passwordOnly)
	if err != nil {
		return err
	}
	if fact.Password, err = s.sealPassword(ctx, name, password, fact.EventType()); err != nil {
		return err
	}
	return s.changeAccount(ctx, name, authorOf(name, via), func(a Account, _ time.Time) ([]events.Payload, error) {
		if a.Status != Active || a.password != checked.account.password {
			return nil, ErrRefused
		}
		return one(fact), nil
	})
}

// SetTOTP makes an account need a code of an authenticator app to sign in. code is a code of the app, which proves that the app has
// the secret. It returns [ErrRefused] for a wrong code.
func (s *Service) SetTOTP(ctx context.Context, name, secret, code, via string) error {
	if s.sealer == nil {
		return ErrNoSecret
	}
	subject, err := Accounts.Subject(name)
	if err != nil {
		return err
	}
	fact := events.StaffTOTPSet{Name: name}
	fact.Secret = s.sealer.seal(secret, subject, fact.EventType())
	return s.changeAccount(ctx, name, authorOf(name, via), func(a Account, now time.Time) ([]events.Payload, error) {
		if fact.Step = totpStep(secret, code, now, 0); fact.Step == 0 || a.Status != Active {
			return nil, fmt.Errorf("%w: the app shows another code", ErrRefused)
		}
		return one(fact), nil
	})
}

// RemoveTOTP makes an account need only its password to sign in. Its owner may do that, and an admin for one who has lost the phone.
func (s *Service) RemoveTOTP(ctx context.Context, name string, author events.Author) error {
	return s.changeAccount(ctx, name, author, existing(name, func(a Account) ([]events.Payload, error) {
		if !a.HasTOTP() {
			return nil, nil
		}
		return one(events.StaffTOTPRemoved{Name: name}), nil
	}))
}

// sealPassword returns the sealed hash of a password for an event of an account.
func (s *Service) sealPassword(ctx context.Context, name, password, eventType string) (string, error) {
	if s.sealer == nil {
		return "", ErrNoSecret
	}
	if err := CheckPassword(name, password); err != nil {
		return "", err
	}
	subject, err := Accounts.Subject(name)
	if err != nil {
		return "", err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return "", err
	}
	return s.sealer.seal(hash, subject, eventType), nil
}

// authorOf returns a member of staff as the author of what they do about their own account.
func authorOf(name, via string) events.Author {
	return events.Author{Actor: events.ActorStaff + name, Via: via}
}
