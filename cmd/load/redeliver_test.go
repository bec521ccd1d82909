//go:build unix

package main

import (
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/proc"
)

// Row 56 of the fault matrix: the whole log is handled again by every lane that decides or acts, while shoppers buy. The entities and
// the documents of the projections that existed before have the same hash, Stripe and the mailbox have only what the new orders
// account for, and every invariant holds. How fast the shoppers are depends on this machine, so the test does not check it.
func TestRedeliver(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("replays the log of a shop for half a minute")
	}
	k := newKilledShop(t)
	k.open(t)
	report, data := runAndReport(t, "--shop", k.ready(), "--redeliver", "--orders", "20", "--replay-rate", "2000", "--max-slowdown", "10000")
	r := report.Redelivery
	if r == nil || len(r.Broken) > 0 || report.Verify == nil || !report.Verify.OK {
		t.Fatalf("got report %s, want a verified one of a redelivery that changed nothing", data)
	}
	past := 20 + warmUp // orders, each with several events, two calls to Stripe and a mail
	if r.Times < 1 || r.Handled < 5*past || r.Done < 3*past*r.Times || r.Parts < 4*past || r.Requests == 0 || r.Live == 0 || report.Orders < 20 || r.Before.Orders != 20 {
		t.Errorf("got %s, want 20 purchases before and at least as many during the redelivery of %d orders", data, past)
	}
	proc.Check(t, k.shop.Stop(30*time.Second))
}

func TestRedeliverFlagsAreChecked(t *testing.T) {
	for want, args := range map[string][]string{
		"omit --soak":     {"--redeliver", "--soak", "1m"},
		"--attack":        {"--redeliver", "--attack"},
		"--no-verify":     {"--redeliver", "--no-verify"},
		"--replay-rate 0": {"--redeliver", "--replay-rate", "0"},
		"--max-slowdown":  {"--redeliver", "--max-slowdown=-2"},
		"pass --mail":     {"--redeliver", "--storefront", "http://127.0.0.1:1", "--stripe", "http://127.0.0.1:1", "--nats", "nats://127.0.0.1:1", "--mongodb", "mongodb://127.0.0.1:1/"},
	} {
		c, err := parse(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), t.Output(), t.Output()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want an error with %q", args, err, want)
		}
	}
}
