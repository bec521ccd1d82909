//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/proof/proc"
)

// Rows 45, 46 and 72 of the fault matrix: strangers order everything, order in the name of another, try stolen cards, forge
// webhooks, and send broken, slow and oversized requests, while shoppers buy. Every shopper succeeds, no stranger gets what is not
// theirs, and every invariant holds. How fast the shoppers are depends on this machine, so the test does not check it.
//
// API4 and API6 of the OWASP API Top 10.
func TestAttack(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("attacks a shop for half a minute")
	}
	k := newKilledShop(t)
	k.open(t)
	report, data := runAndReport(t, "--shop", k.ready(), "--attack", "--seed", setting(t, "ATTACK_SEED", "1"), "--orders", "60", "--max-slowdown", "10000")
	if report.Verify == nil || !report.Verify.OK || report.UnderAttack == nil || len(report.UnderAttack.Attacks) < 10 {
		t.Fatalf("got report %s, want a verified one of at least 10 attacks", data)
	}
	for _, a := range report.UnderAttack.Attacks {
		if len(a.Answers) == 0 {
			t.Errorf("%s: got no answers", a.Attack)
		}
	}
	proc.Check(t, k.shop.Stop(30*time.Second))
}

// runAndReport runs load with flags, which must succeed, and returns the report of --json, also as it was written.
func runAndReport(t *testing.T, flags ...string) (report loadgen.Report, data []byte) {
	t.Helper()
	written := filepath.Join(t.TempDir(), "report.json")
	c, err := parse(t, append(flags, "--json", written)...)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.run(t.Context(), &out, t.Output()); err != nil {
		t.Errorf("%v\n%s", err, out.Bytes())
	}
	t.Logf("%s", out.Bytes())
	if data, err = os.ReadFile(written); err == nil {
		err = json.Unmarshal(data, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	return report, data
}

func TestAttackFlagsAreChecked(t *testing.T) {
	for want, args := range map[string][]string{
		"omit --soak":    {"--attack", "--soak", "1m"},
		"--attack-rate":  {"--attack", "--attack-rate", "0"},
		"--max-slowdown": {"--attack", "--max-slowdown=-1"},
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
