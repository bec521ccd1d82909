//go:build unix

package main

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/proc"
)

// A release of orders with a bug leaves paid orders behind as dead letters of one cause, and then the mail server refuses the shop.
// Staff see why, the fixed release is deployed, one command redrives, and in the end every order is confirmed and mailed once, and the
// log says who did what and why. INCIDENT_LETTERS=500 INCIDENT_REFUSE=10m is the size of the story in deploy/OPERATING.md.
func TestIncident(t *testing.T) {
	if testing.Short() || proc.Raced {
		t.Skip("starts a shop of eleven processes and builds a bad release; TestSoak has the race detector in them")
	}
	c, err := parse(t, "--incident", "--mail-incident", "--dead-letters", setting(t, "INCIDENT_LETTERS", "40"), "--refuse-for", setting(t, "INCIDENT_REFUSE", "5s"),
		"--bin", incidentPrograms(t))
	if err != nil {
		t.Fatal(err)
	}
	text, report := runLocalShop(t, c)
	for _, want := range []string{"40 dead letters", "book payment", "dead_letters: ", "$ ops deadletters redrive --fingerprint", "ops.redelivery_requested",
		"why: release of orders rolled back", "circuit open", "5.7.1 Sender address rejected", "circuit_open: ", "each order has exactly one", "Verdict: nothing was lost"} {
		if !strings.Contains(text, want) && (want != "40 dead letters" || setting(t, "INCIDENT_LETTERS", "") == "") {
			t.Errorf("the story lacks %q", want)
		}
	}
	if report.Orders < 40 || report.Failures() > 0 || report.Verify == nil || !report.Verify.OK {
		t.Errorf("got report %+v, want no failed purchases and no findings", report)
	}
}

// programsWithoutOps returns a directory with the programs of a fleet alone; other tests build more into the common one.
func programsWithoutOps(t *testing.T) (dir string) {
	t.Helper()
	dir, built := t.TempDir(), programs(t)
	for _, program := range fleet.Packages() {
		name := path.Base(program)
		if err := os.Symlink(filepath.Join(built, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func incidentPrograms(t *testing.T) (dir string) {
	t.Helper()
	return proc.MustBuild(t, (&command{Incident: true}).packages()...)
}

func TestIncidentFlagsAreChecked(t *testing.T) {
	t.Setenv("NATS_URL", "")
	for want, args := range map[string][]string{
		"omit --soak":          {"--incident", "--soak", "1m"},
		"start a shop":         {"--mail-incident", "--shop", "shop.json"},
		"--dead-letters 0":     {"--incident", "--dead-letters", "0"},
		"--refuse-for 0s":      {"--mail-incident", "--refuse-for", "0s"},
		"is several processes": {"--incident", "--profile"},
		"cmd/ops":              {"--incident", "--bin", programsWithoutOps(t)},
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
