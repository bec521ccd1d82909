package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

// series are the shop's metrics: values by name and labels.
type series map[string]float64

// scrape reads the shop's metrics, without those of Go and of the process.
func (ts *testShop) scrape(t *testing.T) series {
	t.Helper()
	found := series{}
	for line := range strings.Lines(string(ts.get(t, "/metrics", "").Body)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if name += "}"; !ok {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		if !strings.HasPrefix(name, "tillstream_") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found[name] = number
	}
	return found
}

var (
	selector = regexp.MustCompile(`\btillstream_[a-z_]+(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`([a-z]+)(=~|!~|!=|=)"([^"]*)"`)
	label    = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
)

// has reports whether a series matches a selector.
func (s series) has(t *testing.T, selected string) bool {
	t.Helper()
	name, matchers, _ := strings.Cut(selected, "{")
	for one := range s {
		of, labels, _ := strings.Cut(one, "{")
		if of != name {
			continue
		}
		values := map[string]string{}
		for _, l := range label.FindAllStringSubmatch(labels, -1) {
			values[l[1]] = l[2]
		}
		fits := true
		for _, want := range matcher.FindAllStringSubmatch(matchers, -1) {
			equal := values[want[1]] == want[3]
			if strings.HasSuffix(want[2], "~") {
				equal = regexp.MustCompile("^(?:" + want[3] + ")$").MatchString(values[want[1]])
			}
			fits = fits && equal != strings.HasPrefix(want[2], "!")
		}
		if fits {
			return true
		}
	}
	return false
}

// Every alert and panel must find its series in a shop that has just started: an alert on a label that does not exist never
// fires, and Prometheus sees no increase in a counter that first appears with the value 1.
func TestAlertsAndPanelsFindTheirSeries(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	found := ts.scrape(t)
	for _, file := range []string{"prometheus/alerts.yaml", "grafana.json"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
		if err != nil {
			t.Fatal(err)
		}
		selectors := selector.FindAllString(strings.ReplaceAll(string(text), `\"`, `"`), -1)
		if len(selectors) < 10 {
			t.Errorf("%s has %d selectors, want 10 or more", file, len(selectors))
		}
		for _, s := range selectors {
			if !found.has(t, s) {
				t.Errorf("%s: no series for %s", file, s)
			}
		}
	}
	if used, limit, free := found["tillstream_store_bytes"], found["tillstream_store_limit_bytes"], found["tillstream_data_free_bytes"]; used <= 0 || limit <= used || free <= 0 {
		t.Errorf("store has %v of %v bytes, disk has %v free; want positive values below the limit", used, limit, free)
	}
}

// Every series exists from the start, with the value 0. The requests below increase the counters.
func TestEverySeriesExistsFromTheStart(t *testing.T) {
	t.Parallel()
	ts := startShop(t, func(c *Config) { c.ChargeLimits = events.ChargeLimits{"GBP": {Min: 1, Max: 99_999_999, Step: 1}} })
	before := ts.scrape(t)
	ts.list(t, "MUG", 1250, 10)
	bought := ts.buy(t, cart("ada", line{"MUG", 1}))
	ts.mailed(t, bought.Email, 1)
	declined := ts.place(t, cart("dora", line{"MUG", 1}))
	ts.pay(t, ts.checkout(t, declined), brokeCard)
	ts.refusedBecause(t, declined, "insufficient_funds")
	ts.list(t, "PIN", 10, 10) // below Stripe's minimum
	failed := ts.place(t, cart("fay", line{"PIN", 1}))
	ts.becomes(t, failed, "rejected")
	ts.get(t, "/api/nowhere", "")
	ts.get(t, "/api/orders/unknown", "")
	ts.send(t, ts.request(t, http.MethodPost, "/api/orders", "", strings.NewReader("{")))
	after := series{}
	waitFor(t, "the e-mail and the failed payment are counted", func() bool {
		after = ts.scrape(t)
		return after[`tillstream_mails_total{result="sent"}`] >= 1 && after[`tillstream_payments_refused_total{kind="failed",reason="amount"}`] >= 1
	})
	var late []string
	for name := range after {
		if _, known := before[name]; !known {
			late = append(late, name)
		}
	}
	slices.Sort(late)
	if len(late) > 0 {
		t.Errorf("series that appeared after the start:\n%s", strings.Join(late, "\n"))
	}
	counted := map[string]float64{}
	for _, name := range []string{`tillstream_payments_refused_total{kind="declined",reason="funds"}`, `tillstream_payments_refused_total{kind="failed",reason="amount"}`,
		"tillstream_payments_captured_total"} {
		counted[name] = after[name] - before[name]
	}
	want := map[string]float64{}
	for name := range maps.Keys(counted) {
		want[name] = 1
	}
	if diff := cmp.Diff(want, counted); diff != "" {
		t.Errorf("increase of counters (-want +got):\n%s%s", diff, fmt.Sprint(after))
	}
}
