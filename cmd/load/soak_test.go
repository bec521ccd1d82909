//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/chaos"
	"tillstream/cmd/internal/proof/proc"
)

// soakSeed was found by search: its plan of twenty seconds has eleven faults of eleven kinds, with all of soakKinds.
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
	c, err := parse(t, "--soak", length, "--faults", "--seed", seed, "--bin", programs(t))
	if err != nil {
		t.Fatal(err)
	}
	_, report := runLocalShop(t, c)
	for _, kind := range soakKinds {
		if report.Injected[string(kind)] == 0 && seed == strconv.Itoa(soakSeed) {
			t.Errorf("got no fault of kind %s: search for another soakSeed", kind)
		}
	}
	if report.Orders == 0 || len(report.Injected) == 0 || report.Verify == nil || !report.Verify.OK || strconv.FormatUint(report.Seed, 10) != seed {
		t.Errorf("got report %+v, want orders, faults, seed %s and no findings", report, seed)
	}
}

// A soak test of an existing shop has no faults. --profile reports the processor time of an order, or names the flag that the
// shop must be started with.
func TestSoakOfExistingShop(t *testing.T) {
	t.Parallel()
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
	list := filepath.Join(t.TempDir(), "acknowledged")
	c, err := parse(t, "--shop", k.ready(), "--soak", "1h", "--acknowledged", list)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx, &out, t.Output()) }()
	proc.WaitFor(t, "ten orders are acknowledged", time.Minute, func() bool {
		_, err := os.Stat(list)
		return err == nil && len(linesOf(t, list)) >= 10
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

func TestConflictingFlagsAreRefused(t *testing.T) {
	t.Setenv("NATS_URL", "")
	dir := t.TempDir()
	for want, args := range map[string][]string{
		"--soak -1s":             {"--soak=-1s"},
		"--csv":                  {"--soak=1s", "--csv", "soak_test.go"},
		"needs a duration":       {"--faults"},
		"only into a local shop": {"--soak=1s", "--faults", "--shop", "shop.json"},
		"--bin and --keep":       {"--soak=1s", "--bin", dir, "--nats", "nats://127.0.0.1:1"},
		"cmd/shop --pprof":       {"--soak=1s", "--profile"},
		"build them with":        {"--soak=1s", "--bin", dir},
		"--processes and --csv":  {"--processes", "--csv", "soak_test.go"},
		"--processes starts":     {"--processes", "--shop", "shop.json"},
		"is several processes":   {"--processes", "--profile"},
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
