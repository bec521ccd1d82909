//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/chaos"
	"tillstream/cmd/internal/proof/fleet"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/proof/proc"
)

// soakSeed was searched for: its plan of twenty seconds has eleven faults of eleven kinds, with all of soakKinds.
const soakSeed = 1098

var soakKinds = []chaos.Kind{chaos.WorkerKilled, chaos.WorkerStopped, chaos.WorkerSuspended, chaos.BrokerKilled, chaos.DatabaseKilled}

// Shoppers buy while processes and connections of the shop fail. Within a minute after the last fault every order is final
// and every invariant holds. SOAK=10m SOAK_SEED=N go test ./cmd/load -run TestSoak runs longer.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("injects faults into a shop for twenty seconds")
	}
	length, seed := setting(t, "SOAK", "20s"), setting(t, "SOAK_SEED", strconv.Itoa(soakSeed))
	t.Logf("%s, seed %s", length, seed)
	file := filepath.Join(t.TempDir(), "report.json")
	c, err := parse(t, "--soak", length, "--faults", "--seed", seed, "--bin", programs(t), "--keep", t.TempDir(), "--json", file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.run(t.Context(), &out, t.Output()); err != nil {
		t.Errorf("%v\n%s%s", err, out.Bytes(), logTail(t, c.Keep))
	}
	t.Logf("%s", out.Bytes())
	var report struct {
		Orders int
		Seed   uint64
		Faults map[chaos.Kind]int
		Verify struct{ OK bool }
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	for _, kind := range soakKinds {
		if report.Faults[kind] == 0 && seed == strconv.Itoa(soakSeed) {
			t.Errorf("got no fault of kind %s: search for another soakSeed", kind)
		}
	}
	if report.Orders == 0 || len(report.Faults) == 0 || !report.Verify.OK || strconv.FormatUint(report.Seed, 10) != seed {
		t.Errorf("got report %s, want orders, faults, seed %s and no findings", data, seed)
	}
}

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

// logTail returns the end of the log of an own shop.
func logTail(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	const bytes = 20_000
	return data[max(0, len(data)-bytes):]
}

// On a terminal a fault replaces the progress line.
func TestFaultHasLineOfItsOwn(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	progress := loadgen.Progress{Terminal: true}
	o := &ownShop{out: &screen, clearProgress: func() { screen.WriteString(progress.Clear()) }}
	screen.WriteString("12 done")
	o.writeFault(chaos.Fault{Kind: chaos.BrokerKilled, Victim: "broker", For: time.Second})
	if got := screen.String(); !strings.HasPrefix(got, "12 done\r\x1b[K    0.0s  broker_killed") {
		t.Errorf("got %q, want the progress line cleared before the fault", got)
	}
}

// A soak test of an existing shop has no faults. --profile reports the processor time of an order, or names the flag that the
// shop must be started with.
func TestSoakOfExistingShop(t *testing.T) {
	if testing.Short() {
		t.Skip("buys for five seconds")
	}
	k := newKilledShop(t)
	plain := append([]string{}, k.args...)
	k.args = append(k.args, "--pprof")
	k.open(t)
	c, err := parse(t, "--shop", k.ready(), "--soak", "5s", "--profile")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.run(t.Context(), &out, t.Output()); err != nil {
		t.Errorf("%v\n%s", err, out.Bytes())
	}
	for _, want := range []string{"complete purchases", "processor time of one order", " ms log and broker", " ms load generator", "every checked invariant holds"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	k.soakIsInterrupted(t)
	proc.Check(t, k.shop.Stop(30*time.Second))
	k.args = plain
	k.open(t)
	if c, err = parse(t, "--shop", k.ready(), "--orders", "1", "--profile"); err != nil {
		t.Fatal(err)
	}
	if err := c.run(t.Context(), &out, t.Output()); err == nil || !strings.Contains(err.Error(), "--pprof") {
		t.Errorf("without --pprof: got %v, want an error that names --pprof", err)
	}
	proc.Check(t, k.shop.Stop(30*time.Second))
}

// soakIsInterrupted starts a soak test of an hour and ends it like Ctrl-C after ten orders. The shop is verified.
func (k *killedShop) soakIsInterrupted(t *testing.T) {
	t.Helper()
	promised := filepath.Join(t.TempDir(), "acknowledged")
	c, err := parse(t, "--shop", k.ready(), "--soak", "1h", "--acknowledged", promised)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx, &out, t.Output()) }()
	proc.WaitFor(t, "ten orders are acknowledged", time.Minute, func() bool {
		_, err := os.Stat(promised)
		return err == nil && len(linesOf(t, promised)) >= 10
	})
	cancel()
	select {
	case err = <-ended:
	case <-time.After(2 * time.Minute):
		t.Fatal("got no end within 2m of the interruption")
	}
	if err != nil || !strings.Contains(out.String(), "every checked invariant holds") {
		t.Errorf("got %v, want a verified run:\n%s", err, out.String())
	}
}

// An own shop uses a new database on the given server, with the same credentials.
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

func TestConflictingFlagsAreRefused(t *testing.T) {
	t.Setenv("NATS_URL", "")
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"--soak -1s":            {"--soak=-1s"},
		"--csv":                 {"--soak=1s", "--csv", "soak_test.go"},
		"needs a duration":      {"--faults"},
		"only into an own shop": {"--soak=1s", "--faults", "--shop", "shop.json"},
		"--bin and --keep":      {"--soak=1s", "--bin", dir, "--nats", "nats://127.0.0.1:1"},
		"cmd/shop --pprof":      {"--soak=1s", "--profile"},
		"build them with":       {"--soak=1s", "--bin", dir},
		"--processes and --csv": {"--processes", "--csv", "soak_test.go"},
		"--processes starts":    {"--processes", "--shop", "shop.json"},
		"is several processes":  {"--processes", "--profile"},
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
