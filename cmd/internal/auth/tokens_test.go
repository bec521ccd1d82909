package auth_test

import (
	"errors"
	"strings"
	"testing"

	"tillstream/cmd/internal/auth"
)

const opsToken = "ops_0123456789ABCDEFGH"

func TestAccessTokenOpensOneOrderAndOpsTokenTheStaffRoutes(t *testing.T) {
	t.Parallel()
	tokens, err := auth.New(strings.Repeat("s", 22), opsToken)
	if err != nil {
		t.Fatal(err)
	}
	access := tokens.Token("o1")
	for scheme, want := range map[string]bool{"Bearer ": true, "bearer ": true, "BEARER ": true, "Bearer  ": true, "": false, "Basic ": false, "Bearer": false, "Bearer\t": false, " Bearer ": false} {
		if got := tokens.Allows("o1", scheme+access); got != want {
			t.Errorf("order with scheme %q: got %t, want %t", scheme, got, want)
		}
		if got := tokens.Staff(scheme + opsToken); got != want {
			t.Errorf("staff routes with scheme %q: got %t, want %t", scheme, got, want)
		}
	}
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer " + access[1:], "Bearer " + access + " ", "Bearer " + tokens.Token("o2"), "Bearer " + opsToken} {
		if tokens.Allows("o1", header) {
			t.Errorf("order with header %q: got access, want none", header)
		}
	}
	if tokens.Staff("Bearer " + access) {
		t.Error("staff routes with an access token: got access, want none")
	}
}

func TestNewRefusesShortSecrets(t *testing.T) {
	t.Parallel()
	short := strings.Repeat("s", 21)
	for _, secrets := range [][2]string{{short, opsToken}, {opsToken, short}} {
		if _, err := auth.New(secrets[0], secrets[1]); !errors.Is(err, auth.ErrWeakSecret) {
			t.Errorf("New(%d characters, %d characters): got error %v, want ErrWeakSecret", len(secrets[0]), len(secrets[1]), err)
		}
	}
}
