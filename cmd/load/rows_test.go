//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"tillstream/cmd/internal/proof/chaos"
	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/proof/proc"
)

// openShop is a local shop with shoppers in it until the test ends.
type openShop struct {
	*localShop
	session *session
	command command
	tally   *loadgen.Tally
	done    chan struct{}
	close   context.CancelFunc
}

// openFleet starts a shop and its shoppers. expectRecovery checks their purchases and the invariants.
func openFleet(t *testing.T, args ...string) *openShop {
	t.Helper()
	c, err := parse(t, append([]string{"--soak", "1h", "--faults", "--concurrency", "4", "--bin", programs(t)}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	local, err := c.openLocalShop(t.Context(), dir, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := local.close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s", logTail(t, dir))
		}
	})
	if err := local.stock(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	o := &openShop{localShop: local, command: c, tally: &loadgen.Tally{}, done: make(chan struct{})}
	if o.session, err = c.open(t.Context(), local.shop.Shop, t.Output()); err != nil {
		t.Fatal(err)
	}
	o.session.local = local
	if o.session.plan, err = c.plan(o.session); err != nil {
		t.Fatal(err)
	}
	o.session.acknowledged = &acknowledged{}
	o.startShoppers(t)
	return o
}

// startShoppers lets shoppers buy until the test ends or expectRecovery is called.
func (o *openShop) startShoppers(t *testing.T) {
	t.Helper()
	buyer := loadgen.Buyer{Shop: o.session.shop, Timeout: 5 * time.Minute, Acknowledged: o.session.acknowledged.add}
	run := loadgen.Run{Baskets: o.session.plan.baskets, Buy: buyer.Buy, Concurrency: o.command.Concurrency,
		Observers: []func(loadgen.Purchase){o.tally.Observe}}
	var stop context.Context
	stop, o.close = context.WithCancel(context.Background())
	buying, giveUp := context.WithCancel(context.Background())
	go func() {
		defer close(o.done)
		run.Do(buying, stop.Done())
	}()
	t.Cleanup(func() { o.close(); giveUp(); <-o.done })
}

// awaitConfirmed waits until a number of further orders is confirmed.
func (o *openShop) awaitConfirmed(t *testing.T, more int) {
	t.Helper()
	_, before, _ := o.tally.Counts()
	proc.WaitFor(t, strconv.Itoa(more)+" more orders are confirmed", 2*time.Minute, func() bool {
		_, now, _ := o.tally.Counts()
		return now >= before+more
	})
}

// expectRecovery stops new purchases and expects that the running ones are complete and the invariants hold within a minute.
func (o *openShop) expectRecovery(t *testing.T) {
	t.Helper()
	o.faultsEnded = time.Now()
	o.close()
	select {
	case <-o.done:
	case <-time.After(recovery):
		t.Errorf("got unfinished purchases %s after the fault, want none", recovery)
	}
	verdict, err := o.session.verify(t.Context(), &o.command)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range verdict.Findings {
		t.Errorf("got finding %s %s: %s", finding.Invariant, finding.Subject, finding.Detail)
	}
	report := o.tally.Report(time.Second, 0)
	if report.Failures() > 0 {
		t.Errorf("got failed purchases %v, want none", report.Errors)
	}
	t.Logf("%d orders confirmed, %d cancelled by their shoppers, placed within %.0f ms (p99)", report.Orders, report.Cancelled, report.PlaceMS.P99)
}

// get reads a page of a worker's admin listener.
func get(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// status reads the readiness of a worker.
func status(t *testing.T, at string) (ready struct{ Status, Reason string }) {
	t.Helper()
	if err := json.Unmarshal([]byte(get(t, at+"/readyz")), &ready); err != nil {
		t.Fatal(err)
	}
	return ready
}

var lagLine = regexp.MustCompile(`(?m)^tillstream_lane_lag_events\{lane="[^"]*\.projection"\} (\d+)$`)

// lag returns the largest number of events by which a projection of any worker is behind.
func (o *openShop) lag(t *testing.T) (largest int) {
	t.Helper()
	for _, r := range o.shop.Workers {
		for _, match := range lagLine.FindAllStringSubmatch(get(t, r.URL+"/metrics"), -1) {
			n, err := strconv.Atoi(match[1])
			if err != nil {
				t.Fatal(err)
			}
			largest = max(largest, n)
		}
	}
	return largest
}

// Row 23 of the fault matrix: the database is down. Sales continue, workers report that they are degraded and projections fall
// behind. When the database is back, they catch up without an operator. DATABASE_DOWN=10m sets how long it is down.
func TestDatabaseIsDown(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("stops the database for seconds")
	}
	length, err := time.ParseDuration(setting(t, "DATABASE_DOWN", "4s"))
	if err != nil {
		t.Fatal(err)
	}
	o := openFleet(t)
	o.awaitConfirmed(t, 5)
	if err := o.shop.Database.Kill(); err != nil {
		t.Fatal(err)
	}
	down := time.Now()
	proc.WaitFor(t, "workers report that they are degraded, and why", 2*time.Minute, func() bool {
		degraded := map[string]bool{}
		for _, r := range o.shop.Workers {
			if ready := status(t, r.URL); ready.Status == "degraded" && ready.Reason != "" {
				degraded[r.Worker] = true
			}
		}
		return degraded["orders"] && degraded["payments"] // have projections; the archive lane may run in any worker
	})
	for more := true; more; more = time.Since(down) < length {
		o.awaitConfirmed(t, 10)
	}
	proc.WaitFor(t, "the lag metric is above 0", time.Minute, func() bool { return o.lag(t) > 0 })
	if err := o.shop.Database.Start(); err != nil {
		t.Fatal(err)
	}
	o.expectRecovery(t)
	if err := o.shop.AwaitReady(t.Context()); err != nil {
		t.Error(err)
	}
	proc.WaitFor(t, "the lag metric is 0", time.Minute, func() bool { return o.lag(t) == 0 })
}

// Row 24 of the fault matrix: every answer of the database takes two seconds.
func TestDatabaseIsSlow(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("slows the database for seconds")
	}
	o := openFleet(t)
	o.injectAtDatabase(t, chaos.ConnectionSlow, 2000)
	o.expectRecovery(t)
}

// Row 24 of the fault matrix: the database writes and its answers are lost, so that every write is repeated.
func TestDatabaseRepliesAreLost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("loses answers for seconds")
	}
	o := openFleet(t)
	o.injectAtDatabase(t, chaos.ConnectionReplies, 0)
	o.expectRecovery(t)
}

// injectAtDatabase injects a fault into every worker's connection to the database for eight seconds while shoppers buy.
func (o *openShop) injectAtDatabase(t *testing.T, kind chaos.Kind, amount int64) {
	t.Helper()
	o.awaitConfirmed(t, 5)
	var plan []chaos.Fault
	for _, r := range o.shop.Workers {
		plan = append(plan, chaos.Fault{Kind: kind, Target: chaos.Connection(r.Name, "database"), For: 8 * time.Second, Amount: amount})
	}
	undone := make(chan error, 1)
	go func() { undone <- o.injector.Run(context.Background(), o.shop, plan, o.writeFault) }()
	o.awaitConfirmed(t, 10)
	if err := <-undone; err != nil {
		t.Fatal(err)
	}
}

// Row 10 of the fault matrix: the broker is killed and restarted on the same store five times under load. No acknowledged
// order is lost, and no operator has to act.
func TestBrokerIsKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills a broker five times")
	}
	o := openFleet(t)
	for range 5 {
		o.awaitConfirmed(t, 10)
		if err := o.shop.Broker.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := o.shop.Broker.Start(); err != nil {
			t.Fatal(err)
		}
	}
	o.awaitConfirmed(t, 10)
	o.expectRecovery(t)
}
