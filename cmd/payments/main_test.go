package main

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// The process does not start with settings of Stripe that do not belong together, and says what to do before it connects to anything.
func TestStartRefusesSettingsOfStripe(t *testing.T) {
	required := []string{"--mongodb", "mongodb://127.0.0.1:1/x", "--nats", "nats://127.0.0.1:1", "--token-secret", strings.Repeat("t", 22)}
	good := []string{"--stripe-secret-key", "sk_live_1", "--stripe-publishable-key", "pk_live_1", "--stripe-webhook-secret", "whsec_" + strings.Repeat("a", 32)}
	for name, tc := range map[string]struct {
		more []string
		want string // in the error; "" for none
	}{
		"Live":          {nil, ""},
		"EmptySecret":   {[]string{"--stripe-webhook-secret", ""}, "STRIPE_WEBHOOK_SECRET"},
		"Malformed":     {[]string{"--stripe-webhook-secret", "whsec_..."}, "STRIPE_WEBHOOK_SECRET"},
		"LiveAtSandbox": {[]string{"--stripe-api-base", "http://127.0.0.1:12111"}, "Unset STRIPE_API_BASE"},
		"MixedModes":    {[]string{"--stripe-publishable-key", "pk_test_1"}, "both be live"},
		"SandboxKeys": {[]string{"--stripe-secret-key", "sk_test_tillstream_1", "--stripe-publishable-key", "pk_test_tillstream_1"},
			"set STRIPE_API_BASE"},
	} {
		t.Run(name, func(t *testing.T) {
			parser, err := kong.New(&settings{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = parser.Parse(append(append(append([]string{}, required...), good...), tc.more...))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}
