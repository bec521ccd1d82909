// Package auth makes and checks the tokens of the shop. A guest's token is derived from the order's id, so every process
// that shares the secret can check one without asking anybody, and the answer to a repeated request holds the same token.
package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// minSecret is the least that a secret may have: 128 bits in hexadecimal or base64.
const minSecret = 22

// ErrWeakSecret is returned for a secret that could be guessed.
var ErrWeakSecret = errors.New("secret is too short")

// Tokens checks tokens against two secrets of the installation.
type Tokens struct {
	secret []byte
	staff  []byte
}

// New takes the secret that order tokens are derived from, and the token of staff. It returns [ErrWeakSecret] when one
// of them has fewer than 22 characters.
func New(secret, staff string) (*Tokens, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("%w: the token secret has %d characters, want %d or more", ErrWeakSecret, len(secret), minSecret)
	}
	if len(staff) < minSecret {
		return nil, fmt.Errorf("%w: the ops token has %d characters, want %d or more", ErrWeakSecret, len(staff), minSecret)
	}
	return &Tokens{secret: []byte(secret), staff: []byte(staff)}, nil
}

// Token is what opens one order.
func (t *Tokens) Token(orderID string) string {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write([]byte("order:" + orderID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Allows reports whether an Authorization header bears the token that opens an order.
func (t *Tokens) Allows(orderID, authorization string) bool {
	return bears(authorization, []byte(t.Token(orderID)))
}

// Staff reports whether an Authorization header bears the staff's token.
func (t *Tokens) Staff(authorization string) bool { return bears(authorization, t.staff) }

// bears compares the token of a Bearer header. The scheme's case does not matter (RFC 9110, §11.1), nor how many spaces follow.
func bears(authorization string, token []byte) bool {
	scheme, sent, _ := strings.Cut(authorization, " ")
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(strings.TrimLeft(sent, " ")), token) == 1
}
