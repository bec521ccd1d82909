package staff

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// sealVersion begins every sealed text: AES-256-GCM, with a key that HKDF-SHA-256 derives from a secret of the shop.
const sealVersion = "1"

// sealer seals what the log must not have in clear. A sealed text is version.id of the secret.nonce and ciphertext.
type sealer struct {
	keys []sealKey // the first seals, all open
}

type sealKey struct {
	id   string
	aead cipher.AEAD
}

// newSealer returns a sealer for the secrets of a shop, which are separated by commas.
func newSealer(secrets string) (*sealer, error) {
	s := &sealer{}
	for secret := range strings.SplitSeq(secrets, ",") {
		derived, err := hkdf.Key(sha256.New, []byte(strings.TrimSpace(secret)), nil, "tillstream staff seal", 38)
		if err != nil {
			return nil, fmt.Errorf("derive the key of sealed texts: %w", err)
		}
		block, err := aes.NewCipher(derived[:32])
		if err != nil {
			return nil, fmt.Errorf("derive the key of sealed texts: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("derive the key of sealed texts: %w", err)
		}
		s.keys = append(s.keys, sealKey{id: base64.RawURLEncoding.EncodeToString(derived[32:]), aead: aead})
	}
	return s, nil
}

// bound is what a sealed text is bound to: it does not open in the event of another entity or of another type.
func bound(subject, eventType string) []byte { return []byte(subject + "\n" + eventType) }

// seal seals a text of an event.
func (s *sealer) seal(text, subject, eventType string) string {
	key := s.keys[0]
	nonce := make([]byte, key.aead.NonceSize(), key.aead.NonceSize()+len(text)+key.aead.Overhead())
	_, _ = rand.Read(nonce) // never fails
	sealed := key.aead.Seal(nonce, nonce, []byte(text), bound(subject, eventType))
	return strings.Join([]string{sealVersion, key.id, base64.RawURLEncoding.EncodeToString(sealed)}, ".")
}

// open opens a sealed text. current is false when it is to be sealed again, with the first secret. It returns [ErrSealed].
func (s *sealer) open(sealed sealedText, subject string) (text string, current bool, err error) {
	version, rest, _ := strings.Cut(sealed.text, ".")
	id, encoded, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || version != sealVersion {
		return "", false, fmt.Errorf("%w: %s of %s", ErrSealed, sealed.eventType, subject)
	}
	for i, key := range s.keys {
		if n := key.aead.NonceSize(); key.id == id && len(data) > n {
			if opened, err := key.aead.Open(nil, data[:n], data[n:], bound(subject, sealed.eventType)); err == nil {
				return string(opened), i == 0, nil
			}
		}
	}
	return "", false, fmt.Errorf("%w: %s of %s", ErrSealed, sealed.eventType, subject)
}
