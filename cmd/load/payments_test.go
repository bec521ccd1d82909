//go:build unix

package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// Rows 34, 36, 42, 44, 75 and 76 of the fault matrix: a fifth of the webhooks is lost, others arrive twice, late, forged or in another
// order, events of other shops and in an old API version are among them, and a tenth of the requests to Stripe fails before or after its
// work. What Stripe captures is what shoppers have paid, each capture is made once, and every invariant holds within a minute.
// PAYMENTS_ORDERS=2000 PAYMENTS_SEED=N go test ./cmd/load -run TestPaymentFaults buys more.
func TestPaymentFaults(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("buys for half a minute")
	}
	k := newKilledShop(t)
	k.open(t)
	report, data := runAndReport(t, "--shop", k.ready(), "--faults", "payments", "--orders", setting(t, "PAYMENTS_ORDERS", "60"), "--seed", setting(t, "PAYMENTS_SEED", "1"))
	p := report.Payments
	if p == nil || report.Verify == nil || !report.Verify.OK || len(report.Errors) > 0 {
		t.Fatalf("got report %s, want a verified one without errors", data)
	}
	if len(p.Differences) > 0 || p.Paid == 0 || p.Paid != report.Orders || p.Refunds == 0 || p.Recovered == 0 || p.CleanS > recovery.Seconds() {
		t.Errorf("got payments %+v, want the %d orders paid, refunds, and events that the reconciler has found", *p, report.Orders)
	}
	for _, kind := range []string{"webhooks.drop", "webhooks.duplicate", "webhooks.old_version", "webhooks.foreign", "requests.timeout_after", "requests.rate_limited"} {
		if report.Injected[kind] == 0 {
			t.Errorf("got faults %v, want some of kind %s", slices.Sorted(maps.Keys(report.Injected)), kind)
		}
	}
	proc.Check(t, k.shop.Stop(30*time.Second))
}

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
