// Package auth makes and checks the bearer tokens of the shop.
//
// The access token of an order is a MAC of the order's id with the token secret as its key. Every process that has the secret can
// check the token without a lookup, and a repeated request returns the same token. All staff share one token, the ops token.
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

// minSecret is the minimum length of a secret: 22 characters of base64 hold 128 bits.
const minSecret = 22

// ErrWeakSecret is returned for a secret that is short enough to be guessed.
var ErrWeakSecret = errors.New("secret is too short")

// Tokens makes access tokens and checks both kinds of token. It is safe for concurrent use.
type Tokens struct {
	secret []byte
	staff  string
}

// New returns the Tokens of a shop. Access tokens are derived from secret; staff is the ops token. New returns [ErrWeakSecret]
// when one of the two has fewer than 22 characters.
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

// Allows reports whether an Authorization header carries the access token of an order.
func (t *Tokens) Allows(orderID, authorization string) bool {
	return equal(api.Bearer(authorization), t.Token(orderID))
}

// Staff reports whether an Authorization header carries the ops token.
func (t *Tokens) Staff(authorization string) bool { return equal(api.Bearer(authorization), t.staff) }

// equal compares two tokens in constant time, so that response times do not reveal how much of a guess is right.
func equal(got, want string) bool { return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1 }
