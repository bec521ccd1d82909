package staff

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

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
