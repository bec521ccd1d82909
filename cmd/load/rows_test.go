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
	"tillstream/cmd/internal/proof/processtest"
)

// open is a shop of many processes that people shop in for as long as the test wants.
type openShop struct {
	*rig
	session *session
	command command
	tally   *loadgen.Tally
	done    chan struct{}
	close   context.CancelFunc
}

// openFleet opens one and lets people in. What became of their purchases, and the invariants, are checked by wellAfter.
func openFleet(t *testing.T, args ...string) *openShop {
	t.Helper()
	c, err := parse(t, append([]string{"--soak", "1h", "--faults", "--concurrency", "4", "--bin", programs(t)}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r, err := c.openRig(t.Context(), dir, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s", lastWords(t, dir))
		}
	})
	if err := r.stock(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	o := &openShop{rig: r, command: c, tally: &loadgen.Tally{}, done: make(chan struct{})}
	if o.session, err = c.open(t.Context(), r.shop.Shop, t.Output()); err != nil {
		t.Fatal(err)
	}
	o.session.rig = r
	if o.session.plan, err = c.plan(o.session); err != nil {
		t.Fatal(err)
	}
	o.session.acknowledged = &acknowledged{}
	o.shopOn(t)
	return o
}

// shopOn sends people shopping until the test ends or wellAfter is called.
func (o *openShop) shopOn(t *testing.T) {
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

// confirms waits until so many more orders have been confirmed.
func (o *openShop) confirms(t *testing.T, more int) {
	t.Helper()
	_, before, _ := o.tally.Counts()
	processtest.WaitFor(t, strconv.Itoa(more)+" more orders are confirmed", 2*time.Minute, func() bool {
		_, now, _ := o.tally.Counts()
		return now >= before+more
	})
}

// wellAfter closes the shop to new shoppers and expects everybody to have been served and every promise to hold within a
// minute.
func (o *openShop) wellAfter(t *testing.T) {
	t.Helper()
	o.calm = time.Now()
	o.close()
	select {
	case <-o.done:
	case <-time.After(recovery):
		t.Errorf("people are still waiting a minute later")
	}
	verdict, err := o.session.verify(t.Context(), &o.command)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range verdict.Findings {
		t.Errorf("%s %s: %s", finding.Invariant, finding.Subject, finding.Detail)
	}
	report := o.tally.Report(time.Second, 0)
	if report.Failures() > 0 {
		t.Errorf("people were let down: %v", report.Errors)
	}
	t.Logf("%d orders confirmed, %d cancelled by their shoppers, placed within %.0f ms (p99)", report.Orders, report.Cancelled, report.PlaceMS.P99)
}

// get reads a page of a worker.
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

// status is what a worker says of itself.
func status(t *testing.T, at string) (said struct{ Status, Reason string }) {
	t.Helper()
	if err := json.Unmarshal([]byte(get(t, at+"/readyz")), &said); err != nil {
		t.Fatal(err)
	}
	return said
}

var lagLine = regexp.MustCompile(`(?m)^tillstream_lane_lag_events\{lane="[^"]*\.projection"\} (\d+)$`)

// lag is the largest number of events that a projection of any worker has not written yet.
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

// Row 23 of the fault matrix: the database is away. People buy on, workers say that they are degraded and their
// projections fall behind; when it is back the projections catch up, and nobody has to do anything. DATABASE_DOWN=10m makes it last.
func TestDatabaseIsDown(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the database away for seconds")
	}
	length, err := time.ParseDuration(setting(t, "DATABASE_DOWN", "4s"))
	if err != nil {
		t.Fatal(err)
	}
	o := openFleet(t)
	o.confirms(t, 5)
	if err := o.shop.Database.Kill(); err != nil {
		t.Fatal(err)
	}
	down := time.Now()
	processtest.WaitFor(t, "workers say that their projections are behind, and why", 2*time.Minute, func() bool {
		degraded := map[string]bool{}
		for _, r := range o.shop.Workers {
			if said := status(t, r.URL); said.Status == "degraded" && said.Reason != "" {
				degraded[r.Worker] = true
			}
		}
		return degraded["orders"] && degraded["payments"] // who has projections; the archive may be with any
	})
	for more := true; more; more = time.Since(down) < length {
		o.confirms(t, 10)
	}
	processtest.WaitFor(t, "the metric says that projections are behind", time.Minute, func() bool { return o.lag(t) > 0 })
	if err := o.shop.Database.Start(); err != nil {
		t.Fatal(err)
	}
	o.wellAfter(t)
	if err := o.shop.AwaitReady(t.Context()); err != nil {
		t.Error(err)
	}
	processtest.WaitFor(t, "the metric says that projections have caught up", time.Minute, func() bool { return o.lag(t) == 0 })
}

// Row 24 of the fault matrix: the database needs two seconds for everything.
func TestDatabaseIsSlow(t *testing.T) {
	if testing.Short() {
		t.Skip("slows the database for seconds")
	}
	o := openFleet(t)
	o.inflictOnDatabase(t, chaos.ConnectionSlow, 2000)
	o.wellAfter(t)
}

// Row 24 of the fault matrix: the database writes and its answers get lost, so that everything is written again.
func TestDatabaseRepliesAreLost(t *testing.T) {
	if testing.Short() {
		t.Skip("loses answers for seconds")
	}
	o := openFleet(t)
	o.inflictOnDatabase(t, chaos.ConnectionReplies, 0)
	o.wellAfter(t)
}

// inflictOnDatabase spoils every worker's connection to the database while people buy, for eight seconds.
func (o *openShop) inflictOnDatabase(t *testing.T, kind chaos.Kind, amount int64) {
	t.Helper()
	o.confirms(t, 5)
	var plan []chaos.Fault
	for _, r := range o.shop.Workers {
		plan = append(plan, chaos.Fault{Kind: kind, Victim: chaos.Connection(r.Name, "database"), For: 8 * time.Second, Amount: amount})
	}
	over := make(chan error, 1)
	go func() { over <- o.hand.Run(context.Background(), o.shop, plan, o.told) }()
	o.confirms(t, 10)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
}

// Row 10 of the fault matrix: kill -9 of the broker and a start on the same store, five times under load. Nothing that was
// acknowledged is lost, and nobody has to do anything.
func TestBrokerIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a broker five times")
	}
	o := openFleet(t)
	for range 5 {
		o.confirms(t, 10)
		if err := o.shop.Broker.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := o.shop.Broker.Start(); err != nil {
			t.Fatal(err)
		}
	}
	o.confirms(t, 10)
	o.wellAfter(t)
}
