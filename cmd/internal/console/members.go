package console

import (
	"context"
	"time"

	"tillstream/cmd/internal/staff"
	"tillstream/events"
	"tillstream/events/api"
)

// MembersOf returns the accounts and keys of a staff service.
func MembersOf(service *staff.Service) Members { return members{service} }

type members struct{ service *staff.Service }

// Accounts implements Members.
func (m members) Accounts() (all []Account) {
	for _, a := range m.service.Directory().Accounts() {
		if a.Exists() {
			all = append(all, accountOf(a))
		}
	}
	return all
}

func accountOf(a staff.Account) Account {
	account := Account{Name: a.Name, DisplayName: a.DisplayName, Role: a.Role, Status: string(a.Status), Added: a.Added, SignedIn: a.SignedIn,
		TOTP: a.HasTOTP(), LinkExpires: a.LinkExpires}
	for _, s := range a.Sessions {
		account.Sessions = append(account.Sessions, Session{Began: s.Began, Expires: s.Expires, Via: s.Via, UserAgent: s.UserAgent})
	}
	return account
}

// Keys implements Members.
func (m members) Keys() (all []APIKey) {
	for _, k := range m.service.Directory().Keys() {
		if k.Exists() {
			all = append(all, APIKey{Name: k.Name, Permissions: k.Permissions, Made: k.Made, MadeBy: k.MadeBy, Expires: k.Expires})
		}
	}
	return all
}

// LastUses implements Members.
func (m members) LastUses(ctx context.Context) (map[string]time.Time, error) {
	return m.service.Directory().LastUses(ctx)
}

// Invite implements Members.
func (m members) Invite(ctx context.Context, name, displayName string, role api.Role, author events.Author) (Invitation, error) {
	link, err := m.service.Add(ctx, staff.Addition{Name: name, DisplayName: displayName, Role: role}, author)
	return Invitation{Path: link.Address(""), Expires: link.Expires}, err
}

// NewLink implements Members.
func (m members) NewLink(ctx context.Context, name string, author events.Author) (Invitation, error) {
	link, err := m.service.Link(ctx, name, author)
	return Invitation{Path: link.Address(""), Expires: link.Expires}, err
}

// ChangeRole implements Members.
func (m members) ChangeRole(ctx context.Context, name string, role api.Role, author events.Author) error {
	return m.service.ChangeRole(ctx, name, role, author)
}

// Remove implements Members.
func (m members) Remove(ctx context.Context, name string, author events.Author) error {
	return m.service.Remove(ctx, name, author)
}

// SignOutAll implements Members.
func (m members) SignOutAll(ctx context.Context, name string, author events.Author) error {
	return m.service.SignOutAll(ctx, name, author)
}

// RemoveTOTP implements Members.
func (m members) RemoveTOTP(ctx context.Context, name string, author events.Author) error {
	return m.service.RemoveTOTP(ctx, name, author)
}

// MakeKey implements Members.
func (m members) MakeKey(ctx context.Context, name string, permissions []api.Permission, expires time.Time, author events.Author) (string, error) {
	return m.service.MakeKey(ctx, staff.NewAPIKey{Name: name, Permissions: permissions, Expires: expires}, author)
}

// RevokeKey implements Members.
func (m members) RevokeKey(ctx context.Context, name string, author events.Author) error {
	return m.service.RevokeKey(ctx, name, author)
}
