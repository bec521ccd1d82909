// Package auth makes and checks the access tokens of orders.
//
// The access token of an order says with which secret it was made, and when it expires. A MAC over the order's id and the expiry,
// with the secret as its key, proves both, so every process that has the secret can check the token without a lookup:
//
//	key id . last day . MAC         for example tN3wFw0p.20818.8sM0…
//
// The expiry is rounded up, so that a repeated request returns the same token. Tokens of an earlier format are only a MAC of the
// order's id. They do not expire.
//
// Secrets are rotated without interruption, because several are accepted at a time: see [Config]. Staff have accounts and API keys
// instead: see package staff.
package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tillstream/events/api"
)

// minSecret is the minimum length of a secret: 22 characters of base64 hold 128 bits.
const minSecret = 22

// The expiry of an access token is counted in days since 1970. It is rounded up to a multiple of expiryStep.
const (
	day        = 24 * time.Hour
	expiryStep = 30
)

// ErrWeakSecret is returned for a secret that is short enough to be guessed.
var ErrWeakSecret = errors.New("secret is too short")

// Config has the secrets of a shop.
type Config struct {
	// Secrets are the secrets of order tokens, separated by commas. The first makes new tokens, all of them check tokens. A
	// secret that is removed invalidates the links that were made with it. Required, 22 characters or more each.
	Secrets string

	// Lifetime is how long an order token is valid, at least; it may be up to 30 days more. Default: tokens do not expire, and
	// have the earlier format.
	Lifetime time.Duration

	// Now is the clock of the expiry. Default time.Now.
	Now func() time.Time
}

// key is a secret of order tokens.
type key struct {
	id     string
	secret []byte
}

// Access is who may do what: the holders of order tokens, and staff.
type Access struct {
	*Tokens
	api.StaffAccess
}

// Tokens makes and checks access tokens. It is safe for concurrent use.
type Tokens struct {
	keys     []key // the first makes tokens
	lifetime time.Duration
	now      func() time.Time
}

// New returns the Tokens of a shop. It returns [ErrWeakSecret] when a secret has fewer than 22 characters.
func New(config Config) (*Tokens, error) {
	secrets, err := split("token secret", config.Secrets)
	if err != nil {
		return nil, err
	}
	if config.Lifetime < 0 {
		return nil, fmt.Errorf("lifetime of order tokens is %s, want 0 or more", config.Lifetime)
	}
	t := &Tokens{lifetime: config.Lifetime, now: config.Now}
	if t.now == nil {
		t.now = time.Now
	}
	for _, secret := range secrets {
		t.keys = append(t.keys, key{id: keyID(secret), secret: []byte(secret)})
	}
	return t, nil
}

// split returns the secrets of a list.
func split(name, list string) ([]string, error) {
	secrets := strings.Split(list, ",")
	for i, secret := range secrets {
		secrets[i] = strings.TrimSpace(secret)
		if n := len(secrets[i]); n < minSecret {
			return nil, fmt.Errorf("%w: %s %d of %d has %d characters, want %d or more", ErrWeakSecret, name, i+1, len(secrets), n, minSecret)
		}
	}
	return secrets, nil
}

// keyID names a secret in tokens. It is computed, so that two secrets cannot have one id by mistake.
func keyID(secret string) string {
	sum := sha256.Sum256([]byte("tillstream key id:" + secret))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// Token returns the access token of an order.
func (t *Tokens) Token(orderID string) string {
	if t.lifetime == 0 {
		return t.keys[0].mac("order:" + orderID)
	}
	last := daysSince1970(t.now().Add(t.lifetime))
	return t.keys[0].token(orderID, (last/expiryStep+1)*expiryStep)
}

func daysSince1970(at time.Time) int64 { return at.Unix() / int64(day/time.Second) }

// token returns the access token of an order that is valid until the end of a day.
func (k key) token(orderID string, last int64) string {
	days := strconv.FormatInt(last, 10)
	return k.id + "." + days + "." + k.mac("order until "+days+":"+orderID)
}

func (k key) mac(message string) string {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write([]byte(message))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Allows reports whether an Authorization header carries the access token of an order.
func (t *Tokens) Allows(orderID, authorization string) bool {
	token := api.Bearer(authorization)
	id, rest, dated := strings.Cut(token, ".")
	last, _, _ := strings.Cut(rest, ".")
	until, err := strconv.ParseInt(last, 10, 64)
	if dated && (err != nil || until < daysSince1970(t.now())) {
		return false
	}
	for _, k := range t.keys {
		if !dated && equal(token, k.mac("order:"+orderID)) || dated && id == k.id && equal(token, k.token(orderID, until)) {
			return true
		}
	}
	return false
}

// equal compares two tokens in constant time, so that response times do not reveal how much of a guess is right.
func equal(got, want string) bool { return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1 }
