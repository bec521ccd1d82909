package loadgen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
)

func TestRunBuysEveryBasketOnce(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(t)
	baskets, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 50, Lines: 1, Seed: 7}, []loadgen.Item{{SKU: "MUG"}})
	if err != nil {
		t.Fatal(err)
	}
	var tally loadgen.Tally
	var keys []string
	run := loadgen.Run{Baskets: baskets, Buy: shop.buyer(t, false).Buy, Concurrency: 4,
		Observers: []func(loadgen.Purchase){tally.Observe, func(p loadgen.Purchase) { keys = append(keys, p.Basket.Key) }}}
	run.Do(t.Context(), nil)
	if ended, confirmed, _ := tally.Counts(); ended != 50 || confirmed != 50 || shop.placed() != 50 || len(keys) != 50 || run.InFlight() != 0 {
		t.Errorf("%d ended, %d confirmed, %d placed, %d seen, %d in flight; want 50 and 0", ended, confirmed, shop.placed(), len(keys), run.InFlight())
	}
}

// TestStopFinishesWhatWasBegun: after the stop nothing new is begun, but nothing under way is thrown away.
func TestStopFinishesWhatWasBegun(t *testing.T) {
	t.Parallel()
	baskets, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 1000, Lines: 1}, []loadgen.Item{{SKU: "MUG"}})
	if err != nil {
		t.Fatal(err)
	}
	begun, finish, stop := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	var tally loadgen.Tally
	run := loadgen.Run{Baskets: baskets, Concurrency: 2, Observers: []func(loadgen.Purchase){tally.Observe},
		Buy: func(context.Context, loadgen.Basket) loadgen.Purchase {
			begun <- struct{}{}
			<-finish
			return loadgen.Purchase{PlacedIn: 1, ConfirmedIn: 1}
		}}
	done := make(chan struct{})
	go func() { defer close(done); run.Do(t.Context(), stop) }()
	<-begun
	<-begun
	close(stop)
	close(finish)
	<-done
	if ended, confirmed, _ := tally.Counts(); ended != 2 || confirmed != 2 {
		t.Errorf("%d ended, %d confirmed; want the 2 that were begun", ended, confirmed)
	}
}

func TestRateBeginsPurchasesAtEvenTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		baskets, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 5, Lines: 1}, []loadgen.Item{{SKU: "MUG"}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var mu sync.Mutex
		var begun []time.Duration
		run := loadgen.Run{Baskets: baskets, Concurrency: 3, Rate: 4, Buy: func(context.Context, loadgen.Basket) loadgen.Purchase {
			mu.Lock()
			begun = append(begun, time.Since(start))
			mu.Unlock()
			return loadgen.Purchase{PlacedIn: 1, ConfirmedIn: 1}
		}}
		run.Do(t.Context(), nil)
		want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond, time.Second}
		if diff := cmp.Diff(want, begun); diff != "" {
			t.Errorf("purchases begun (-want +got):\n%s", diff)
		}
	})
}

func TestGenerator(t *testing.T) {
	t.Parallel()
	items := []loadgen.Item{{SKU: "A"}, {SKU: "B"}, {SKU: "C"}}
	baskets := func(seed uint64) (all []loadgen.Basket) {
		g, err := loadgen.NewGenerator(loadgen.Generation{RunID: "r", Orders: 200, Lines: 9, Seed: seed}, items)
		if err != nil {
			t.Fatal(err)
		}
		for b, ok := g.Next(); ok; b, ok = g.Next() {
			all = append(all, b)
		}
		return all
	}
	first := baskets(1)
	if diff := cmp.Diff(first, baskets(1)); diff != "" {
		t.Error("the same seed gives other baskets:", diff)
	}
	if cmp.Equal(first, baskets(2)) {
		t.Error("another seed gives the same baskets")
	}
	keys := map[string]bool{}
	for _, b := range first {
		skus := map[string]bool{}
		for _, line := range b.Lines {
			skus[line.SKU] = true
			if line.Quantity < 1 || line.Quantity > 2 {
				t.Errorf("%s wants %d of %s", b.Key, line.Quantity, line.SKU)
			}
		}
		keys[b.Key] = true
		if len(skus) != 3 || len(b.Lines) != 3 {
			t.Errorf("%s has lines %v; want each of the 3 items once", b.Key, b.Lines)
		}
	}
	if len(keys) != 200 {
		t.Errorf("%d keys for 200 baskets", len(keys))
	}
	if _, err := loadgen.NewGenerator(loadgen.Generation{Orders: 1, Lines: 1}, nil); !errors.Is(err, loadgen.ErrEmptyShop) {
		t.Errorf("got %v", err)
	}
}

func TestStockingUp(t *testing.T) {
	t.Parallel()
	fake := newFakeShop(t)
	shop := fake.buyer(t, false).Shop
	items, err := shop.Items(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != 2 || items[1].SKU != "after-a+b" || items[0].Available != 5 || items[0].Price.Amount != 100 {
		t.Fatalf("got %+v; want both pages", items)
	}
	missing := loadgen.Shortfall(map[string]int64{"MUG": 5, "after-a+b": 3, "unlisted": 9}, items)
	if diff := cmp.Diff([]loadgen.Line{{SKU: "after-a+b", Quantity: 3}}, missing); diff != "" {
		t.Error(diff)
	}
	if err := shop.Receive(t.Context(), missing); err != nil || !shop.CanReceive() {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"after-a+b +3 received"}, fake.adjusts); diff != "" {
		t.Error(diff)
	}
}

func TestPercentiles(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100-i) * time.Millisecond
	}
	cases := map[string]struct {
		samples []time.Duration
		want    loadgen.Percentiles
	}{
		"None":     {nil, loadgen.Percentiles{}},
		"One":      {[]time.Duration{1500 * time.Microsecond}, loadgen.Percentiles{P50: 1.5, P95: 1.5, P99: 1.5}},
		"Two":      {[]time.Duration{2 * time.Millisecond, time.Millisecond}, loadgen.Percentiles{P50: 1, P95: 2, P99: 2}},
		"Hundred":  {hundred, loadgen.Percentiles{P50: 50, P95: 95, P99: 99}},
		"OneAbove": {append([]time.Duration{time.Second}, hundred...), loadgen.Percentiles{P50: 51, P95: 96, P99: 100}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, loadgen.PercentilesOf(c.samples)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var tally loadgen.Tally
	tally.Observe(loadgen.Purchase{PlacedIn: 2 * time.Millisecond, ConfirmedIn: 8 * time.Millisecond})
	tally.Observe(loadgen.Purchase{PlacedIn: 4 * time.Millisecond, Err: &loadgen.Failure{Kind: loadgen.OutOfStock, Err: errors.New("none left")}})
	tally.Observe(loadgen.Purchase{Err: &loadgen.Failure{Kind: "place_5xx", Err: errors.New("first words")}})
	tally.Observe(loadgen.Purchase{Err: &loadgen.Failure{Kind: "place_5xx", Err: errors.New("second words")}})
	report := tally.Report(2*time.Second, 3)
	report.Verify = &loadgen.Verdict{Findings: []loadgen.Finding{{Invariant: "I3", Subject: "SKU MUG", Detail: "oversold"}}}

	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"orders":1,"orders_per_s":0.5,"place_ms":{"p50":2,"p95":4,"p99":4},"confirm_ms":{"p50":8,"p95":8,"p99":8},` +
		`"errors":{"place_5xx":2,"rejected_out_of_stock":1},"retries":3,"elapsed_s":2,` +
		`"verify":{"ok":false,"findings":[{"invariant":"I3","subject":"SKU MUG","detail":"oversold"}]}}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Error(diff)
	}
	if report.Faults() != 2 {
		t.Errorf("%d faults; want 2: a sold-out order is none", report.Faults())
	}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"1 complete purchases", "2 place_5xx, the first: first words", "1 rejected_out_of_stock", "VERIFY FAILED: 1", "I3 SKU MUG: oversold"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the report does not say %q:\n%s", part, &text)
		}
	}
	data, err = json.Marshal((&loadgen.Tally{}).Report(0, 0))
	if err != nil || !strings.Contains(string(data), `"errors":{}`) || strings.Contains(string(data), "verify") {
		t.Errorf("an empty run: %s, %v", data, err)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var tally loadgen.Tally
	tally.Observe(loadgen.Purchase{PlacedIn: 1})
	tally.Observe(loadgen.Purchase{Err: &loadgen.Failure{Kind: "expired"}})
	for name, c := range map[string]struct {
		terminal bool
		want     string
		ends     string
	}{
		"Terminal": {true, "\r\x1b[K\x1b[?7l2/9 done, ", "\x1b[?7h"}, // without wrapping, which a narrow terminal would do
		"Plain":    {false, "2/9 done, ", "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			to := &firstWrite{then: cancel}
			loadgen.Progress{To: to, Every: time.Millisecond, Terminal: c.terminal, Total: 9, Run: &loadgen.Run{}, Tally: &tally}.Show(ctx)
			if !strings.HasPrefix(to.text, c.want) || !strings.HasSuffix(to.text, c.ends) || !strings.Contains(to.text, "0 in flight, 1 failed") {
				t.Errorf("got %q", to.text)
			}
		})
	}
}

// firstWrite keeps what is written first.
type firstWrite struct {
	text string
	then func()
}

func (w *firstWrite) Write(p []byte) (int, error) {
	if w.text == "" {
		w.text = string(p)
	}
	w.then()
	return len(p), nil
}
