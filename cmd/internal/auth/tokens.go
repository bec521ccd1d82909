// Package auth makes and checks the bearer tokens of the shop. The access token of an order is a MAC of the order's id, so
// every process that has the secret can check it without a request to another one, and a repeated request gets the same
// token in its answer. Staff share one token, the ops token.
package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"

	"tillstream/events/api"
)

// minSecret is the fewest characters of a secret: 128 bits in hexadecimal or base64.
const minSecret = 22

// ErrWeakSecret is returned for a secret that is short enough to be guessed.
var ErrWeakSecret = errors.New("secret is too short")

// Tokens checks tokens against the two secrets of an installation.
type Tokens struct {
	secret []byte
	staff  string
}

// New takes the secret that access tokens are derived from, and the ops token. It returns [ErrWeakSecret] when one of them
// has fewer than 22 characters.
func New(secret, staff string) (*Tokens, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("%w: the token secret has %d characters, want %d or more", ErrWeakSecret, len(secret), minSecret)
	}
	if len(staff) < minSecret {
		return nil, fmt.Errorf("%w: the ops token has %d characters, want %d or more", ErrWeakSecret, len(staff), minSecret)
	}
	return &Tokens{secret: []byte(secret), staff: staff}, nil
}

// Token returns the access token of an order.
func (t *Tokens) Token(orderID string) string {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write([]byte("order:" + orderID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Allows reports whether an Authorization header has the access token of an order.
func (t *Tokens) Allows(orderID, authorization string) bool {
	return equal(api.Bearer(authorization), t.Token(orderID))
}

// Staff reports whether an Authorization header has the ops token.
func (t *Tokens) Staff(authorization string) bool { return equal(api.Bearer(authorization), t.staff) }

// equal takes the same time wherever two tokens differ.
func equal(got, want string) bool { return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1 }
