package cpu

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"
)

// stack returns a sample of a length in nanoseconds, with the deepest function first.
func stack(nanos int64, functions ...string) *profile.Sample {
	sample := &profile.Sample{Value: []int64{1, nanos}}
	for _, name := range functions {
		sample.Location = append(sample.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}})
	}
	return sample
}

func TestSampleBelongsToTheDeepestOwner(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		stack []string
		want  Part
	}{
		"JSONForTheLog":         {[]string{"encoding/json.Marshal", "tillstream/events/log.(*Tx).Append", "tillstream/orders.(*Service).place", "net/http.(*conn).serve"}, Log},
		"JSONForAPage":          {[]string{"encoding/json.Marshal", "tillstream/orders.(*Service).get", "github.com/danielgtaylor/huma/v2.Register", "net/http.(*conn).serve"}, HTTP},
		"RuleWhileDeciding":     {[]string{"tillstream/orders.Order.Confirm", "tillstream/events/worker.(*decideLane).one"}, Decide},
		"RuleForAShopper":       {[]string{"tillstream/orders.Order.Cancel", "net/http.(*conn).serve"}, HTTP},
		"CallToStripe":          {[]string{"crypto/sha256.block", "github.com/stripe/stripe-go/v76.(*BackendImplementation).Do", "tillstream/events/worker.(*actLane).act"}, Act},
		"SandboxBehindHTTP":     {[]string{"os.(*File).Write", "tillstream/payments/sandbox.(*journal).commit", "net/http.(*conn).serve"}, Stripe},
		"Broker":                {[]string{"syscall.Syscall", "github.com/nats-io/nats-server/v2/server.(*fileStore).writeMsg"}, Log},
		"EmbeddedDatabase":      {[]string{"modernc.org/sqlite/lib._sqlite3VdbeExec", "github.com/FerretDB/FerretDB/ferretdb.Run"}, Projections},
		"ReadingForAProjection": {[]string{"tillstream/events/log.(*Log).Read", "tillstream/events/project.(*projector).write"}, Log},
		"MailBeingWritten":      {[]string{"html/template.Execute", "tillstream/notifications.(*renderer).render", "tillstream/events/worker.(*actLane).act"}, Mail},
		"CollectorAtWork":       {[]string{"runtime.scanobject", "runtime.gcDrain", "runtime.gcBgMarkWorker"}, Collector},
		"CollectorAssisted":     {[]string{"runtime.gcDrainN", "runtime.gcAssistAlloc", "runtime.mallocgc", "tillstream/events/log.(*Tx).Append"}, Collector},
		"AllocatingForLog":      {[]string{"runtime.mallocgc", "tillstream/events/log.(*Tx).Append"}, Log},
		"LookingForWork":        {[]string{"runtime.findRunnable", "runtime.schedule", "runtime.mcall"}, Scheduler},
		"UnownedFunction":       {[]string{"time.goFunc"}, Rest},
		"DatabaseOfTheShop":     {[]string{"go.mongodb.org/mongo-driver/v2/mongo.(*Collection).InsertMany", "tillstream/orders.(*Service).list"}, Projections},
		"SimilarPackageName":    {[]string{"tillstream/eventslog.F"}, Rest},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := partOf(stack(1, c.stack...)); got != c.want {
				t.Errorf("partOf: got %q, want %q", got, c.want)
			}
		})
	}
}

// startShop starts a server whose every profile has the same samples, and which confirms ten orders per profile.
func startShop(t *testing.T, samples ...*profile.Sample) (origin string, orders func() int, taken chan struct{}) {
	t.Helper()
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}, Sample: samples}
	for _, s := range samples {
		for _, l := range s.Location {
			l.ID = uint64(len(p.Location) + 1)
			l.Line[0].Function.ID = l.ID
			p.Location, p.Function = append(p.Location, l), append(p.Function, l.Line[0].Function)
		}
	}
	var confirmed atomic.Int64
	taken = make(chan struct{}, 100)
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		if len(taken) == cap(taken) { // the test stops the watch
			<-r.Context().Done()
			return
		}
		confirmed.Add(10)
		if err := p.Write(w); err != nil {
			t.Error(err)
		}
		taken <- struct{}{}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, func() int { return int(confirmed.Load()) }, taken
}

func TestStopReturnsTimePerOrder(t *testing.T) {
	t.Parallel()
	origin, orders, taken := startShop(t, stack(30e6, "tillstream/events/log.Append"), stack(10e6, "runtime.gcBgMarkWorker"), stack(20e6, "tillstream/events/log.Load"))
	w, err := Start(t.Context(), origin, orders)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return len(taken) == cap(taken) })
	costs, err := w.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := costs[Generator]; ownTime() > 0 && !ok {
		t.Errorf("costs: got %v, want the load generator in them", costs)
	}
	delete(costs, Generator)
	if diff := cmp.Diff(map[Part]float64{Log: 5, Collector: 1}, costs); diff != "" {
		t.Errorf("milliseconds per order (-want +got):\n%s", diff)
	}
}

// The profiles are made by net/http/pprof of this process, which burns processor time meanwhile.
func TestWatchReadsRealProfiles(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	var burnt atomic.Int64
	w, err := Start(t.Context(), server.URL, func() int { return int(burnt.Load()) })
	if err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for begun := time.Now(); time.Since(begun) < 2*interval+interval/2; {
		for i := range uint64(1 << 20) {
			sum += i * i
		}
		burnt.Add(1)
	}
	costs, err := w.Stop()
	if err != nil || costs[Rest] <= 0 || sum == 0 {
		t.Errorf("Stop: got %v, %v; want time of the rest", costs, err)
	}
}

func TestWatchReportsMissingProfilesAndOrders(t *testing.T) {
	t.Parallel()
	t.Run("NoProfiles", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(http.NotFoundHandler())
		t.Cleanup(server.Close)
		if _, err := Start(t.Context(), server.URL, func() int { return 0 }); !errors.Is(err, ErrNoProfiles) {
			t.Errorf("got %v, want ErrNoProfiles", err)
		}
	})
	t.Run("NoOrders", func(t *testing.T) {
		t.Parallel()
		origin, _, taken := startShop(t, stack(1, "main.main"))
		w, err := Start(t.Context(), origin, func() int { return 7 })
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(t, func() bool { return len(taken) > 3 })
		if _, err := w.Stop(); !errors.Is(err, ErrTooShort) {
			t.Errorf("got %v, want ErrTooShort", err)
		}
	})
	t.Run("BrokenProfile", func(t *testing.T) {
		t.Parallel()
		asked := make(chan struct{}, 10)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := w.Write([]byte("not a profile")); err != nil {
				t.Error(err)
			}
			asked <- struct{}{}
		}))
		t.Cleanup(server.Close)
		w, err := Start(t.Context(), server.URL, func() int { return 0 })
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(t, func() bool { return len(asked) == 2 })
		w.done.Wait()
		if _, err := w.Stop(); err == nil || errors.Is(err, ErrTooShort) {
			t.Errorf("Stop: got %v, want the error of the profile", err)
		}
	})
}

// waitUntil polls a condition until it holds.
func waitUntil(t *testing.T, holds func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("condition does not hold after 30s")
		}
	}
}
