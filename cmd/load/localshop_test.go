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

	"tillstream/cmd/internal/proof/chaos"
	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/proof/proc"
)

// setting returns a variable of the environment, or its default.
func setting(t *testing.T, name, otherwise string) string {
	t.Helper()
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// programs builds the programs of a fleet.
func programs(t *testing.T) (dir string) {
	t.Helper()
	return proc.MustBuild(t, fleet.Packages()...)
}

// logTail returns the end of the log of a local shop.
func logTail(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	const size = 20_000 // bytes
	return data[max(0, len(data)-size):]
}

// runLocalShop runs load with a local shop. It returns the report as text and as in the JSON file.
func runLocalShop(t *testing.T, c command) (text string, report loadgen.Report) {
	t.Helper()
	c.JSON, c.Keep = filepath.Join(t.TempDir(), "report.json"), t.TempDir()
	var out bytes.Buffer
	if err := c.run(t.Context(), &out, t.Output()); err != nil {
		t.Errorf("%v\n%s", err, out.Bytes())
		t.Log(logTail(t, c.Keep)) // fails if no process was started
	}
	t.Logf("%s", out.Bytes())
	data, err := os.ReadFile(c.JSON)
	if err == nil {
		err = json.Unmarshal(data, &report)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), report
}

// A run with --processes makes every purchase and prints the usual report.
func TestBuyFromLocalShop(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a shop of eleven processes")
	}
	c, err := parse(t, "--processes", "--orders", "12", "--concurrency", "4", "--bin", programs(t))
	if err != nil {
		t.Fatal(err)
	}
	text, report := runLocalShop(t, c)
	for _, want := range []string{"12 complete purchases", "orders/s", "placed to confirmed", "no errors", "every checked invariant holds"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if report.Orders != 12 || len(report.Crashes) > 0 || report.Verify == nil || !report.Verify.OK {
		t.Errorf("got report %+v, want 12 orders, no unexpected exits and no findings", report)
	}
}

// On a terminal a fault replaces the progress line.
func TestFaultHasLineOfItsOwn(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	progress := loadgen.Progress{Terminal: true}
	o := &localShop{out: &screen, clearProgress: func() { screen.WriteString(progress.Clear()) }}
	screen.WriteString("12 done")
	o.writeFault(chaos.Fault{Kind: chaos.BrokerKilled, Target: "broker", For: time.Second})
	if got := screen.String(); !strings.HasPrefix(got, "12 done\r\x1b[K    0.0s  broker_killed") {
		t.Errorf("got %q, want the progress line cleared before the fault", got)
	}
}

// A local shop uses a new database on the given server, with the same credentials.
func TestFreshDatabaseKeepsCredentials(t *testing.T) {
	t.Parallel()
	got, err := freshDatabase("mongodb://user:word@host:27017/theirs?authSource=admin")
	if err != nil || !strings.HasPrefix(got, "mongodb://user:word@host:27017/soak_") || !strings.HasSuffix(got, "?authSource=admin") {
		t.Errorf("got %q, %v, want another database with the same credentials", got, err)
	}
	if got, err := freshDatabase(""); err != nil || got != "" {
		t.Errorf("no address: got %q, %v, want none", got, err)
	}
	if _, err := freshDatabase("mongodb://a b:c"); err == nil {
		t.Error("invalid address: got no error")
	}
}
