package staff

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"
)

// Sessions is the [Service] as a console in the browser uses it: a person is known by the token of the session. via is the console
// and the address of the browser, separated by a space, such as "console 192.0.2.7".
type Sessions struct {
	Service *Service
	Shop    string // the name of the shop in authenticator apps
}

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
	return secret, TOTPAddress(s.Shop, account.Name, secret), nil
}

// SetTOTP makes the account of a session need codes of the app; see [Service.SetTOTP].
func (s Sessions) SetTOTP(ctx context.Context, token, secret, code, via string) error {
	account, _, ok := s.Service.directory.Session(token)
	if !ok {
		return ErrRefused
	}
	return s.Service.SetTOTP(ctx, account.Name, secret, code, via)
}

// newToken returns a random token of 256 bits, for a session or a link.
func newToken() string {
	token := make([]byte, 32)
	_, _ = rand.Read(token) // never fails
	return base64.RawURLEncoding.EncodeToString(token)
}

// NewKey returns a random API key. It is valid once [Service.MakeKey] or [Service.KeepKey] has stored it.
func NewKey() string { return KeyPrefix + rand.Text() }

// sumOf returns what the log has of a token or key. These are random, so nobody can guess one from its SHA-256.
func sumOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
