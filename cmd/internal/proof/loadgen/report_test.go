package loadgen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
)

func TestPercentilesAreNearestRanks(t *testing.T) {
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
				t.Errorf("percentiles (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReportCountsFailuresByCategory(t *testing.T) {
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
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if report.Failures() != 2 {
		t.Errorf("got %d failures, want 2: an order that is out of stock is none", report.Failures())
	}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"1 complete purchase in 2.0 s", "2 place_5xx, first error:\n        first words", "1 rejected_out_of_stock", "VERIFY FAILED: 1 finding\n", "I3 SKU MUG: oversold"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the report lacks %q:\n%s", part, &text)
		}
	}
	data, err = json.Marshal((&loadgen.Tally{}).Report(0, 0))
	if err != nil || !strings.Contains(string(data), `"errors":{}`) || strings.Contains(string(data), "verify") {
		t.Errorf("empty run: got %s, %v, want no errors and no verdict", data, err)
	}
}

// A line is wrapped between words, so that it fits a terminal.
func TestReportFitsTerminal(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("detail ", 30)
	report := loadgen.Report{Orders: 123_456, Errors: map[loadgen.Kind]int{}, PlaceMS: loadgen.Percentiles{P99: 99_999.9},
		Injected: map[string]int{"broker_killed": 1}, Crashes: map[string]int{"payments 1": 1},
		Verify: &loadgen.Verdict{Skipped: []string{long}, Findings: []loadgen.Finding{{Invariant: "I3", Subject: "SKU MUG", Detail: long}}}}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if line = strings.TrimSuffix(line, "\n"); len(line) > 80 {
			t.Errorf("got a line of %d columns, want at most 80: %s", len(line), line)
		}
	}
	if got, want := strings.Count(text.String(), "detail"), 60; got != want {
		t.Errorf("got %d words, want %d:\n%s", got, want, &text)
	}
}

func TestProgressLineCountsPurchases(t *testing.T) {
	t.Parallel()
	var tally loadgen.Tally
	tally.Observe(loadgen.Purchase{PlacedIn: 1})
	tally.Observe(loadgen.Purchase{Err: &loadgen.Failure{Kind: "expired"}})
	for name, c := range map[string]struct {
		terminal bool
		want     string
		ends     string
	}{
		"Terminal": {true, "\r\x1b[K\x1b[?7l2/9 done, ", "\x1b[?7h"}, // without wrapping on a narrow terminal
		"Plain":    {false, "2/9 done, ", "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			to := &firstWrite{then: cancel}
			loadgen.Progress{To: to, Every: time.Millisecond, Terminal: c.terminal, Total: 9, Run: &loadgen.Run{}, Tally: &tally}.Show(ctx)
			if !strings.HasPrefix(to.text, c.want) || !strings.HasSuffix(to.text, c.ends) || !strings.Contains(to.text, "0 in flight, 1 failed") {
				t.Errorf("got %q, want a line that begins with %q and ends with %q", to.text, c.want, c.ends)
			}
		})
	}
}

// firstWrite keeps the first write.
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
