//go:build unix

package main

import (
	"strings"
	"testing"
)

func TestFaultsAreNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]faults{
		"":                                    noFaults,
		"--soak 1m --faults":                  allFaults,
		"--faults --soak 1m":                  allFaults,
		"--faults all --soak 1m":              allFaults,
		"--faults=payments --orders 2":        paymentFaults,
		"--orders 2 --faults payments":        paymentFaults,
		"--faults payments --seed 7 --orders": "refused",
		"--faults=webhooks":                   "refused",
		"--faults webhooks":                   "refused",
	} {
		c, err := parse(t, strings.Fields(text)...)
		if want == "refused" {
			if err == nil {
				t.Errorf("%q: got faults %q, want an error", text, c.Faults)
			}
		} else if err != nil || c.Faults != want {
			t.Errorf("%q: got faults %q, %v; want %q", text, c.Faults, err, want)
		}
	}
}

func TestPaymentFaultsAreRefusedWithOtherModes(t *testing.T) {
	t.Setenv("NATS_URL", "")
	for want, args := range map[string][]string{
		"omit --soak":          {"--soak=1m"},
		"incidents":            {"--mail-incident"},
		"--csv":                {"--csv", "payments_test.go"},
		"omit --soak, --fault": {"--attack"},
		"--no-verify":          {"--no-verify"},
		"stripe-secret-key":    {"--storefront", "http://127.0.0.1:1", "--stripe", "http://127.0.0.1:1", "--nats", "nats://127.0.0.1:1"},
	} {
		c, err := parse(t, append([]string{"--faults", "payments"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), t.Output(), t.Output()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want an error with %q", args, err, want)
		}
	}
}
