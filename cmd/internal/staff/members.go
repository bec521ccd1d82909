package staff

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/text"
)

// maxDisplayName is the maximum length of a display name, in characters.
const maxDisplayName = 80

// Addition is a new account.
type Addition struct {
	Name        string   // by which they sign in; see [CheckName]
	DisplayName string   // optional
	Role        api.Role // one of [api.Roles]
}

// clean returns the addition with a clean display name, or an error that says what is wrong with it.
func (a Addition) clean() (Addition, error) {
	if err := CheckName(a.Name); err != nil {
		return a, err
	}
	if err := CheckRole(a.Role); err != nil {
		return a, err
	}
	display, err := text.Clean(a.DisplayName)
	if err != nil {
		return a, fmt.Errorf("display name: %w", err)
	}
	if n := utf8.RuneCountInString(display); n > maxDisplayName {
		return a, fmt.Errorf("display name: %d characters, want at most %d", n, maxDisplayName)
	}
	a.DisplayName = display
	return a, nil
}

// Link is a link with which a member of staff sets a password, once.
type Link struct {
	Token   string // the log has only its SHA-256, so it can be shown once
	Expires time.Time
}

// Address returns the link below the origin of the console. The token is a fragment, which browsers do not send to servers, so no
// log of a proxy has it.
func (l Link) Address(console string) string { return console + "/ops/join#" + l.Token }

// newLink returns a link, and what the log has of it.
func newLink(now time.Time) (Link, events.StaffLink) {
	link := Link{Token: newToken(), Expires: now.Add(LinkLifetime).UTC().Truncate(time.Second)}
	return link, events.StaffLink{SHA256: sumOf(link.Token), Expires: link.Expires}
}

// accepts reports whether a link's token can set the password of the account at a time.
func (a Account) accepts(token string, now time.Time) bool {
	return a.Exists() && a.link != "" && a.link == sumOf(token) && now.Before(a.LinkExpires)
}

// Add adds an account and returns the link with which its owner sets a password. It returns [ErrExists], [ErrNotYours],
// or an error that says what is wrong with the addition.
func (s *Service) Add(ctx context.Context, addition Addition, author events.Author) (link Link, err error) {
	if addition, err = addition.clean(); err != nil {
		return Link{}, err
	}
	if author, err = CheckReason(author); err != nil {
		return Link{}, err
	}
	if err := s.checkGrant(author, addition.Role.Permissions()); err != nil {
		return Link{}, err
	}
	link, stored := newLink(s.log.Now())
	return link, s.changeAccount(ctx, addition.Name, author, func(a Account, _ time.Time) ([]events.Payload, error) {
		if a.Exists() {
			return nil, fmt.Errorf("%w: account %s", ErrExists, addition.Name)
		}
		return one(events.StaffAdded{Name: addition.Name, DisplayName: addition.DisplayName, Role: string(addition.Role), Link: stored}), nil
	})
}

// Link makes another link for an account, for an owner who has lost the first one or the password. Earlier links no longer work.
// It returns [ErrNotFound] or [ErrNotYours].
func (s *Service) Link(ctx context.Context, name string, author events.Author) (link Link, err error) {
	if author, err = CheckReason(author); err != nil {
		return Link{}, err
	}
	link, stored := newLink(s.log.Now())
	return link, s.changeAccount(ctx, name, author, existing(name, func(a Account) ([]events.Payload, error) {
		return one(events.StaffLinkMade{Name: name, Link: stored}), s.checkGrant(author, a.Role.Permissions())
	}))
}

// ChangeRole gives an account another role. It returns [ErrNotFound], [ErrNotYours] or [ErrLastAdmin]; the role that it has
// already changes nothing.
func (s *Service) ChangeRole(ctx context.Context, name string, role api.Role, author events.Author) (err error) {
	if err := CheckRole(role); err != nil {
		return err
	}
	if author, err = CheckReason(author); err != nil {
		return err
	}
	return s.changeAccount(ctx, name, author, existing(name, func(a Account) ([]events.Payload, error) {
		if a.Role == role {
			return nil, nil
		}
		return one(events.StaffRoleChanged{Name: name, Role: string(role), Before: string(a.Role)}), s.checkGrant(author, role.Permissions())
	}))
}

// Remove removes an account: its sessions and links end at once. It returns [ErrNotFound] or [ErrLastAdmin].
func (s *Service) Remove(ctx context.Context, name string, author events.Author) (err error) {
	if author, err = CheckReason(author); err != nil {
		return err
	}
	return s.changeAccount(ctx, name, author, existing(name, func(Account) ([]events.Payload, error) {
		return one(events.StaffRemoved{Name: name}), nil
	}))
}

// existing is a decision about an account that exists; for others it returns [ErrNotFound].
func existing(name string, decide func(Account) ([]events.Payload, error)) func(Account, time.Time) ([]events.Payload, error) {
	return func(a Account, _ time.Time) ([]events.Payload, error) {
		if !a.Exists() {
			return nil, fmt.Errorf("%w: account %s", ErrNotFound, name)
		}
		return decide(a)
	}
}

func one(fact events.Payload) []events.Payload { return []events.Payload{fact} }
