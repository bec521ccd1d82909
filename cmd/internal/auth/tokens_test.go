package auth_test

import (
	"strings"
	"testing"

	"tillstream/cmd/internal/auth"
)

func TestBearerTokensOpenOneOrderOrTheStaffRoutes(t *testing.T) {
	t.Parallel()
	tokens, err := auth.New(strings.Repeat("s", 22), "ops_0123456789ABCDEFGH")
	if err != nil {
		t.Fatal(err)
	}
	mine, staff := tokens.Token("o1"), "ops_0123456789ABCDEFGH"
	for scheme, want := range map[string]bool{"Bearer ": true, "bearer ": true, "BEARER ": true, "Bearer  ": true, "": false, "Basic ": false, "Bearer": false, "Bearer\t": false, " Bearer ": false} {
		if got := tokens.Allows("o1", scheme+mine); got != want {
			t.Errorf("scheme %q opens the order: %t, want %t", scheme, got, want)
		}
		if got := tokens.Staff(scheme + staff); got != want {
			t.Errorf("scheme %q opens the staff routes: %t, want %t", scheme, got, want)
		}
	}
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer " + mine[1:], "Bearer " + mine + " ", "Bearer " + tokens.Token("o2"), "Bearer " + staff} {
		if tokens.Allows("o1", header) {
			t.Errorf("header %q opens the order", header)
		}
	}
	if tokens.Staff("Bearer " + mine) {
		t.Error("an access token opens the staff routes")
	}
}
