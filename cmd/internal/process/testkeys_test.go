package process_test

import (
	"testing"

	"tillstream/cmd/internal/process"
)

// A shop that strangers can reach is not ready with test keys.
//
// API8 of the OWASP API Top 10.
func TestAPublicShopIsNotReadyWithTestKeys(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		url           string
		live, allowed bool
		want          bool // not ready
	}{
		"Public":    {"https://shop.example", false, false, true},
		"PublicIP":  {"http://192.0.2.1:8080", false, false, true},
		"Live":      {"https://shop.example", true, false, false},
		"Rehearsal": {"https://shop.example", false, true, false},
		"Localhost": {"http://localhost:8080", false, false, false},
		"Loopback":  {"http://[::1]:8080", false, false, false},
		"NoAddress": {"", false, false, false},
	} {
		check := process.Rehearsing{AllowTestKeys: tc.allowed}.TestKeys(tc.url, tc.live)
		if got := check.Problem(); (got != nil) != tc.want {
			t.Errorf("%s: got %v, want a problem: %t", name, got, tc.want)
		}
		if c := (process.Condition{Code: check.Code}); !c.NotReady() {
			t.Errorf("%s: the condition %s degrades, want it to make the process not ready", name, check.Code)
		}
	}
}
