package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/auth"
)

const (
	apiKey    = "tsk_0123456789ABCDEFGH"
	oldSecret = "the old secret of order tokens"
	newSecret = "the new secret of order tokens"
)

func newTokens(t *testing.T, config auth.Config) *auth.Tokens {
	t.Helper()
	if config.Secrets == "" {
		config.Secrets = oldSecret
	}
	tokens, err := auth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// A token opens one order and nothing else.
//
// API2 of the OWASP API Top 10.
func TestAccessTokenOpensOneOrder(t *testing.T) {
	t.Parallel()
	for name, lifetime := range map[string]time.Duration{"WithExpiry": time.Hour, "WithoutExpiry": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := newTokens(t, auth.Config{Lifetime: lifetime})
			access := tokens.Token("o1")
			for scheme, want := range map[string]bool{"Bearer ": true, "bearer ": true, "BEARER ": true, "Bearer  ": true, "": false, "Basic ": false, "Bearer": false, "Bearer\t": false, " Bearer ": false} {
				if got := tokens.Allows("o1", scheme+access); got != want {
					t.Errorf("order with scheme %q: got %t, want %t", scheme, got, want)
				}
			}
			for _, header := range []string{"", "Bearer", "Bearer ", "Bearer .", "Bearer ..", "Bearer " + access[1:], "Bearer " + access + " ", "Bearer " + access + ".",
				"Bearer " + tokens.Token("o2"), "Bearer " + apiKey} {
				if tokens.Allows("o1", header) {
					t.Errorf("order with header %q: got access, want none", header)
				}
			}
		})
	}
}

// Secrets that can be guessed are refused.
//
// API2 of the OWASP API Top 10.
func TestNewRefusesShortSecrets(t *testing.T) {
	t.Parallel()
	short := strings.Repeat("s", 21)
	for _, config := range []auth.Config{{}, {Secrets: short}, {Secrets: oldSecret + ","}, {Secrets: oldSecret + "," + short}} {
		if _, err := auth.New(config); !errors.Is(err, auth.ErrWeakSecret) {
			t.Errorf("New(%+v): got error %v, want ErrWeakSecret", config, err)
		}
	}
}

// Row 78 of the fault matrix: secrets are replaced while shoppers hold links. Processes get the new secret as the second of two
// first, then as the first, so that every process accepts the tokens of every other one.
func TestSecretsAreRotatedWithoutInvalidLinks(t *testing.T) {
	t.Parallel()
	before := newTokens(t, auth.Config{Secrets: oldSecret, Lifetime: time.Hour})
	during := newTokens(t, auth.Config{Secrets: oldSecret + ", " + newSecret, Lifetime: time.Hour})
	after := newTokens(t, auth.Config{Secrets: newSecret + "," + oldSecret, Lifetime: time.Hour})
	ended := newTokens(t, auth.Config{Secrets: newSecret, Lifetime: time.Hour})
	stages := []*auth.Tokens{before, during, after, ended}
	for i, stage := range stages[1:] { // processes of two neighbouring stages run side by side
		if previous := stages[i]; !stage.Allows("o1", "Bearer "+previous.Token("o1")) || !previous.Allows("o1", "Bearer "+stage.Token("o1")) {
			t.Errorf("stages %d and %d do not accept the tokens of each other", i, i+1)
		}
	}
	if ended.Allows("o1", "Bearer "+before.Token("o1")) {
		t.Error("a token of a secret that was removed: got access, want none")
	}
}

// An access token is valid for a limited time.
//
// API2 of the OWASP API Top 10.
func TestAccessTokenExpires(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	tokens := newTokens(t, auth.Config{Lifetime: 400 * 24 * time.Hour, Now: func() time.Time { return now }})
	token := tokens.Token("o1")
	for days, want := range map[int]bool{0: true, 400: true, 431: false, 4000: false} {
		at := now.AddDate(0, 0, days)
		verifier := newTokens(t, auth.Config{Now: func() time.Time { return at }})
		if got := verifier.Allows("o1", "Bearer "+token); got != want {
			t.Errorf("after %d days: got access %t, want %t", days, got, want)
		}
	}
	id, rest, _ := strings.Cut(token, ".")
	_, mac, _ := strings.Cut(rest, ".")
	if tokens.Allows("o1", "Bearer "+id+".99999."+mac) {
		t.Error("a token with another expiry: got access, want none")
	}
	if again := tokens.Token("o1"); again != token {
		t.Errorf("token of a repeated request: got %q, want %q", again, token)
	}
}

// Row 78 of the fault matrix: links in mails of earlier releases, whose tokens have neither key id nor expiry, still work.
func TestTokensOfEarlierReleasesAreValid(t *testing.T) {
	t.Parallel()
	mac := hmac.New(sha256.New, []byte(oldSecret))
	mac.Write([]byte("order:o1"))
	earlier := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	tokens := newTokens(t, auth.Config{Secrets: newSecret + "," + oldSecret, Lifetime: time.Hour})
	if !tokens.Allows("o1", "Bearer "+earlier) || tokens.Allows("o2", "Bearer "+earlier) {
		t.Error("an earlier token does not open exactly its order")
	}
	if got := newTokens(t, auth.Config{}).Token("o1"); got != earlier {
		t.Errorf("token without a lifetime: got %q, want the earlier format %q", got, earlier)
	}
}
