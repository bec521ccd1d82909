//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/proof/proc"
	"tillstream/cmd/internal/target"
)

func TestMain(m *testing.M) { os.Exit(proc.Main(m)) }

const shopProgram = "tillstream/cmd/shop"

const (
	kills  = 5
	orders = 400
)

// The shop is killed at random moments and restarted on the same data. Every acknowledged order is confirmed.
func TestShopIsKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills a shop five times, which takes a minute")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	k := newKilledShop(t)
	k.open(t)

	list := filepath.Join(t.TempDir(), "acknowledged")
	run := k.load(t, list, orders)
	for n := range kills {
		// At a random point of the next fifth of the run.
		enough := orders*n/kills + 1 + random.IntN(orders/kills/2)
		proc.WaitFor(t, fmt.Sprintf("%d orders are acknowledged", enough), 2*time.Minute, func() bool {
			return len(linesOf(t, list)) >= enough || run.ended()
		})
		k.killAfter(t, time.Duration(random.Int64N(int64(100*time.Millisecond))))
		if random.IntN(2) == 0 { // and again while it starts
			k.start(t)
			k.killAfter(t, time.Duration(random.Int64N(int64(time.Second))))
		}
		k.open(t)
	}
	if err := run.result(t); err != nil {
		t.Errorf("load: %v", err)
	}
	ids := linesOf(t, list)
	if len(ids) != orders {
		t.Errorf("got %d acknowledged orders, want %d", len(ids), orders)
	}
	k.verify(t, ids)
	proc.Check(t, k.shop.Stop(30*time.Second))
}

// killedShop is cmd/shop on one directory and at the same addresses, in one process after another.
type killedShop struct {
	program string
	data    string
	http    string
	args    []string
	starts  int
	shop    *proc.Process
}

func newKilledShop(t *testing.T) *killedShop {
	t.Helper()
	k := &killedShop{program: filepath.Join(proc.MustBuild(t, shopProgram), "shop"), data: filepath.Join(t.TempDir(), "data"),
		http: proc.MustFreeAddr(t)}
	k.args = []string{"--data", k.data, "--http", k.http, "--sweep-every", "2s"}
	for _, flag := range []string{"--nats", "--mongo", "--ops", "--stripe", "--smtp"} {
		k.args = append(k.args, flag, proc.MustFreeAddr(t))
	}
	return k
}

// ready is the ready file, which the shop writes when it is open.
func (k *killedShop) ready() string { return filepath.Join(k.data, "ready.json") }

// start starts the shop and does not wait until it is open.
func (k *killedShop) start(t *testing.T) {
	t.Helper()
	k.starts++
	if err := os.Remove(k.ready()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	k.shop = proc.MustStart(t, proc.Command{Name: fmt.Sprintf("shop %d", k.starts), Path: k.program, Args: k.args})
}

var open = regexp.MustCompile(`^(The shop is open)`)

// open starts the shop and waits until it is open.
func (k *killedShop) open(t *testing.T) {
	t.Helper()
	began := time.Now()
	k.start(t)
	if _, err := k.shop.AwaitLine(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s opened in %s", k.shop.Name, time.Since(began).Round(time.Millisecond))
}

// killAfter kills the shop after a time.
func (k *killedShop) killAfter(t *testing.T, life time.Duration) {
	t.Helper()
	select {
	case <-time.After(life): // a random moment is the point of the test: there is no condition to wait for
	case <-k.shop.Done():
		t.Errorf("%s exited before it was killed", k.shop.Name)
	}
	proc.Check(t, k.shop.Kill())
}

// loadRun is a run of load in the background.
type loadRun struct {
	done chan struct{}
	err  error
}

// load starts a patient run that appends the acknowledged orders to a file.
func (k *killedShop) load(t *testing.T, list string, orders int) *loadRun {
	t.Helper()
	shop := filepath.Join(t.TempDir(), "ready.json") // a copy: the shop removes its own when it restarts
	data, err := os.ReadFile(k.ready())
	if err := errors.Join(err, os.WriteFile(shop, data, 0o600), os.WriteFile(list, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	c, err := parse(t, "--shop", shop, "--orders", fmt.Sprint(orders), "--concurrency", "16", "--patient", "--timeout", "120s",
		"--acknowledged", list, "--no-verify")
	if err != nil {
		t.Fatal(err)
	}
	run := &loadRun{done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(run.done)
		run.err = c.run(ctx, t.Output(), t.Output())
	}()
	t.Cleanup(func() { cancel(); <-run.done })
	return run
}

func (r *loadRun) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

func (r *loadRun) result(t *testing.T) error {
	t.Helper()
	proc.WaitFor(t, "the run ends", 5*time.Minute, r.ended)
	return r.err
}

// linesOf returns the complete lines of a file that is being written.
func linesOf(t *testing.T, path string) (lines []string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for from := bufio.NewReader(file); ; {
		line, err := from.ReadString('\n')
		if err != nil {
			return lines
		}
		lines = append(lines, line[:len(line)-1])
	}
}

// verify expects that the invariants hold and that the acknowledged orders, and no others, are confirmed.
func (k *killedShop) verify(t *testing.T, acknowledged []string) {
	t.Helper()
	if diff := cmp.Diff(map[string]int{"confirmed": len(acknowledged)}, k.check(t, acknowledged).Counts.ByStatus); diff != "" {
		t.Errorf("orders by status (-want +got):\n%s", diff)
	}
}

// check expects that the invariants hold within a minute, also for recent orders, and returns the report.
func (k *killedShop) check(t *testing.T, acknowledged []string) invariants.Report {
	t.Helper()
	shop, err := target.Target{Shop: k.ready()}.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	options, done, err := invariants.Attach(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	options.Acknowledged = acknowledged
	report, err := invariants.CheckRecovered(t.Context(), options, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		t.Errorf("got finding %s %s: %s", finding.Invariant, finding.Subject, finding.Detail)
	}
	return report
}
