package staff

import (
	"context"
	"time"
)

// totpIssuer names the shop in authenticator apps.
const totpIssuer = "Tillstream"

// Sessions is the [Service] as a console in the browser uses it: a person is known by the token of the session. via is the console
// and the address of the browser, separated by a space, such as "console 192.0.2.7".
type Sessions struct{ Service *Service }

// SignIn begins a session; see [Service.SignIn].
func (s Sessions) SignIn(ctx context.Context, name, password, code, via string) (token string, expires time.Time, err error) {
	session, err := s.Service.SignIn(ctx, Credentials{Name: name, Password: password, Code: code, Address: addressOf(via), Via: via})
	return session.Token, session.Expires, err
}

// SignOut ends the session of a token. It returns nil when the session has ended already.
func (s Sessions) SignOut(ctx context.Context, token, via string) error {
	account, session, ok := s.Service.directory.Session(token)
	if !ok {
		return nil
	}
	return s.Service.SignOut(ctx, account.Name, session.ID, authorOf(account.Name, via))
}

// Accept sets the password of the account that a link is for; see [Service.Accept].
func (s Sessions) Accept(ctx context.Context, link, password, via string) (name string, err error) {
	return s.Service.Accept(ctx, link, password, via)
}

// ChangePassword sets another password for the account of a session; see [Service.ChangePassword].
func (s Sessions) ChangePassword(ctx context.Context, token, old, password, via string) error {
	account, session, ok := s.Service.directory.Session(token)
	if !ok {
		return ErrRefused
	}
	return s.Service.ChangePassword(ctx, account.Name, session.ID, Change{Old: old, New: password, Address: addressOf(via), Via: via})
}

// NewTOTP returns a secret for an authenticator app, and the address that the app reads from a QR code.
func (s Sessions) NewTOTP(_ context.Context, token string) (secret, address string, err error) {
	account, _, ok := s.Service.directory.Session(token)
	if !ok {
		return "", "", ErrRefused
	}
	secret = NewTOTPSecret()
	return secret, TOTPAddress(totpIssuer, account.Name, secret), nil
}

// SetTOTP makes the account of a session need codes of the app; see [Service.SetTOTP].
func (s Sessions) SetTOTP(ctx context.Context, token, secret, code, via string) error {
	account, _, ok := s.Service.directory.Session(token)
	if !ok {
		return ErrRefused
	}
	return s.Service.SetTOTP(ctx, account.Name, secret, code, via)
}
