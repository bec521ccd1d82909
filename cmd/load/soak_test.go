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

// The seed of the short soak was looked for: in twenty seconds it has eleven faults of as many kinds, and among them all
// that can happen to a process.
const soakSeed = 1098

var soakKinds = []chaos.Kind{chaos.WorkerKilled, chaos.WorkerStopped, chaos.WorkerSuspended, chaos.BrokerKilled, chaos.DatabaseKilled}

// People shop while everything that the shop stands on is killed, suspended, cut off and slowed, and a minute later every
// order has its end and every promise holds. SOAK=10m SOAK_SEED=N go test ./cmd/load -run TestSoak makes it longer.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("hurts a shop for twenty seconds")
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
		t.Errorf("%v\n%s%s", err, out.Bytes(), lastWords(t, c.Keep))
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
			t.Errorf("no %s: look for another seed", kind)
		}
	}
	if report.Orders == 0 || len(report.Faults) == 0 || !report.Verify.OK || strconv.FormatUint(report.Seed, 10) != seed {
		t.Errorf("the report is %s", data)
	}
}

func setting(t *testing.T, name, otherwise string) string {
	t.Helper()
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// programs builds what a fleet consists of.
func programs(t *testing.T) (dir string) {
	t.Helper()
	return proc.MustBuild(t, fleet.Packages()...)
}

// lastWords are the end of what the processes of a shop said.
func lastWords(t *testing.T, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, diaryName))
	if err != nil {
		t.Fatal(err)
	}
	const enough = 20_000
	return data[max(0, len(data)-enough):]
}

// On a terminal the line that says how far a run is makes room for a fault.
func TestAFaultHasALineOfItsOwn(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	progress := loadgen.Progress{Terminal: true}
	r := &rig{out: &screen, makeRoom: func() { screen.WriteString(progress.Clear()) }}
	screen.WriteString("12 done")
	r.told(chaos.Fault{Kind: chaos.BrokerKilled, Victim: "broker", For: time.Second})
	if got := screen.String(); !strings.HasPrefix(got, "12 done\r\x1b[K    0.0s  broker_killed") {
		t.Errorf("the screen got %q", got)
	}
}

// A shop of somebody else's is soaked without faults; one that serves profiles is told what an order costs, and one that
// does not is told how to.
func TestSoakOfAShopInOneProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("shops for five seconds")
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
	for _, want := range []string{"complete purchases", "processor time of one order", " ms log and broker", " ms load generator", "every invariant that was checked holds"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, out.String())
		}
	}
	k.soakIsCalledOff(t)
	proc.Check(t, k.shop.Stop(30*time.Second))
	k.args = plain
	k.open(t)
	if c, err = parse(t, "--shop", k.ready(), "--orders", "1", "--profile"); err != nil {
		t.Fatal(err)
	}
	if err := c.run(t.Context(), &out, t.Output()); err == nil || !strings.Contains(err.Error(), "--pprof") {
		t.Errorf("got %v, want advice to start the shop with --pprof", err)
	}
	proc.Check(t, k.shop.Stop(30*time.Second))
}

// soakIsCalledOff begins a soak of an hour and ends it as Ctrl-C does, after ten orders. It is verified all the same.
func (k *killedShop) soakIsCalledOff(t *testing.T) {
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
		t.Fatal("it goes on")
	}
	if err != nil || !strings.Contains(out.String(), "every invariant that was checked holds") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// A soak on somebody else's database server touches nothing that is theirs, and keeps how they log in.
func TestFreshDatabase(t *testing.T) {
	t.Parallel()
	got, err := freshDatabase("mongodb://user:word@host:27017/theirs?authSource=admin")
	if err != nil || !strings.HasPrefix(got, "mongodb://user:word@host:27017/soak_") || !strings.HasSuffix(got, "?authSource=admin") {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := freshDatabase(""); err != nil || got != "" {
		t.Errorf("none given: got %q, %v", got, err)
	}
	if _, err := freshDatabase("mongodb://a b:c"); err == nil {
		t.Error("an address that is none was taken")
	}
}

func TestSoakFlagsThatDoNotGoTogether(t *testing.T) {
	t.Setenv("NATS_URL", "")
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"--soak -1s":            {"--soak=-1s"},
		"--csv":                 {"--soak=1s", "--csv", "soak_test.go"},
		"say for how long":      {"--faults"},
		"that load starts itse": {"--soak=1s", "--faults", "--shop", "shop.json"},
		"--bin and --keep":      {"--soak=1s", "--bin", dir, "--nats", "nats://127.0.0.1:1"},
		"cmd/shop --pprof":      {"--soak=1s", "--profile"},
		"build them with":       {"--soak=1s", "--bin", dir},
		"--processes and --csv": {"--processes", "--csv", "soak_test.go"},
		"--processes starts":    {"--processes", "--shop", "shop.json"},
		"is many processes":     {"--processes", "--profile"},
	} {
		c, err := parse(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), t.Output(), t.Output()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v; want it to say %q", args, err, want)
		}
	}
}
