package staff

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Lengths of a password, in characters. NIST SP 800-63B asks for 8 or more; these are the keys of a whole shop.
const (
	minPassword = 12
	maxPassword = 200
)

// CheckPassword returns [ErrBadPassword] for a password that an account cannot have.
func CheckPassword(name, password string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || n < minPassword || n > maxPassword:
		return fmt.Errorf("%w: want %d to %d characters", ErrBadPassword, minPassword, maxPassword)
	case name != "" && strings.Trim(strings.ToLower(password), "0123456789!?. ") == name:
		return fmt.Errorf("%w: it is the name of the account", ErrBadPassword)
	}
	return nil
}

// parameters are those of argon2id.
type parameters struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// current are the parameters of new hashes (OWASP Password Storage Cheat Sheet: m=19456, t=2, p=1). A hash with others is replaced
// when its owner signs in.
var current = parameters{memory: 19 * 1024, time: 2, threads: 1}

// most bounds the parameters of a stored hash: a broken one must not take all memory.
var most = parameters{memory: 256 * 1024, time: 10, threads: 4}

const (
	saltSize = 16
	hashSize = 32
)

// errBadHash is returned for a text that is no hash of a password.
var errBadHash = errors.New("not a hash of argon2id")

// hasher hashes passwords, two at a time: each needs 19 MiB and a processor.
type hasher struct{ turns chan struct{} }

func newHasher() *hasher { return &hasher{turns: make(chan struct{}, 2)} }

// compute hashes a password when it is its turn.
func (h *hasher) compute(ctx context.Context, password string, salt []byte, p parameters) ([]byte, error) {
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
		return argon2.IDKey([]byte(password), salt, p.time, p.memory, p.threads, hashSize), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
}

// hash returns a new hash of a password, as a PHC string.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	sum, err := h.compute(ctx, password, salt, current)
	if err != nil {
		return "", err
	}
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, current.memory, current.time, current.threads, encode(salt), encode(sum)), nil
}

// verify reports whether a password is the one of a hash, and whether the hash has the current parameters.
func (h *hasher) verify(ctx context.Context, phc, password string) (ok, isCurrent bool, err error) {
	p, salt, want, err := parseHash(phc)
	if err != nil {
		return false, false, err
	}
	got, err := h.compute(ctx, password, salt, p)
	return subtle.ConstantTimeCompare(got, want) == 1, p == current, err
}

// pretend takes as long as verify, for an account that has no password.
func (h *hasher) pretend(ctx context.Context, password string) error {
	_, err := h.compute(ctx, password, make([]byte, saltSize), current)
	return err
}

// parseHash parses a PHC string of argon2id.
func parseHash(phc string) (p parameters, salt, sum []byte, err error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, nil, nil, errBadHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return p, nil, nil, errBadHash
	}
	salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	if err == nil {
		sum, err = base64.RawStdEncoding.DecodeString(parts[5])
	}
	if err != nil || len(sum) != hashSize || len(salt) == 0 || p.time < 1 || p.threads < 1 || p.memory > most.memory || p.time > most.time || p.threads > most.threads {
		return p, nil, nil, errBadHash
	}
	return p, salt, sum, nil
}
