package staff

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6238's default, and the only one that every app knows; HMAC-SHA-1 is not broken
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Time-based one-time passwords (RFC 6238) as every authenticator app makes them.
const (
	totpPeriod = 30 // seconds
	totpDigits = 6
	totpSkew   = 1 // steps that the clock of a phone may be early or late
)

var totpEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewTOTPSecret returns a secret for an authenticator app.
func NewTOTPSecret() string {
	secret := make([]byte, 20) // the output of SHA-1, as RFC 4226 §4 recommends
	_, _ = rand.Read(secret)   // never fails
	return totpEncoding.EncodeToString(secret)
}

// TOTPAddress returns the address that an authenticator app reads from a QR code.
func TOTPAddress(issuer, name, secret string) string {
	query := url.Values{"secret": {secret}, "issuer": {issuer}}
	return (&url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + name, RawQuery: query.Encode()}).String()
}

// totpStep returns the step of a code at a time, 0 for a wrong code and for the code of a step that was used already.
func totpStep(secret, code string, now time.Time, used int64) int64 {
	key, err := totpEncoding.DecodeString(secret)
	code = strings.ReplaceAll(code, " ", "")
	if err != nil || len(key) == 0 {
		return 0
	}
	found := int64(0)
	for step := now.Unix()/totpPeriod - totpSkew; step <= now.Unix()/totpPeriod+totpSkew; step++ {
		if subtle.ConstantTimeCompare([]byte(code), []byte(totpCode(key, step, totpDigits))) == 1 && step > used {
			found = step
		}
	}
	return found
}

// totpCode returns the code of a step (RFC 4226 §5.3).
func totpCode(key []byte, step int64, digits int) string {
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, step) // a hash never fails
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	value := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	modulus := uint32(1)
	for range digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", digits, value%modulus)
}
