package console

import (
	"context"
	"strings"
	"time"

	"tillstream/cmd/internal/staff"
	"tillstream/events"
)

// accounts is the [SignInService] of the accounts in the log.
type accounts struct {
	service *staff.Service
	shop    string
}

// Accounts returns the sign-in service of the accounts in the log. shop is the name of the shop in authenticator apps.
func Accounts(service *staff.Service, shop string) SignInService { return accounts{service, shop} }

// SignIn implements [SignInService].
func (a accounts) SignIn(ctx context.Context, name, password, code, via string) (token string, expires time.Time, err error) {
	session, err := a.service.SignIn(ctx, staff.Credentials{Name: name, Password: password, Code: code, Address: strings.TrimPrefix(via, "console "), Via: via})
	return session.Token, session.Expires, err
}

// SignOut implements [SignInService]. A session that has ended already is no error.
func (a accounts) SignOut(ctx context.Context, token, via string) error {
	account, session, ok := a.service.Directory().Session(token)
	if !ok {
		return nil
	}
	return a.service.SignOut(ctx, account.Name, session.ID, events.Author{Actor: events.ActorStaff + account.Name, Via: via, Reason: "signed out"})
}

// Accept implements [SignInService].
func (a accounts) Accept(ctx context.Context, link, password, via string) (string, error) {
	return a.service.Accept(ctx, link, password, via)
}

// ChangePassword implements [SignInService].
func (a accounts) ChangePassword(ctx context.Context, token, old, password, via string) error {
	account, session, ok := a.service.Directory().Session(token)
	if !ok {
		return ErrSignIn
	}
	return a.service.ChangePassword(ctx, account.Name, session.ID, staff.Change{Old: old, New: password, Address: strings.TrimPrefix(via, "console "), Via: via})
}

// NewTOTP implements [SignInService].
func (a accounts) NewTOTP(_ context.Context, token string) (secret, address string, err error) {
	account, _, ok := a.service.Directory().Session(token)
	if !ok {
		return "", "", ErrSignIn
	}
	secret = staff.NewTOTPSecret()
	return secret, staff.TOTPAddress(a.shop, account.Name, secret), nil
}

// SetTOTP implements [SignInService].
func (a accounts) SetTOTP(ctx context.Context, token, secret, code, via string) error {
	account, _, ok := a.service.Directory().Session(token)
	if !ok {
		return ErrSignIn
	}
	return a.service.SetTOTP(ctx, account.Name, secret, code, via)
}
