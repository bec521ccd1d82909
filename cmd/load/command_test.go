package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/cmd/internal/target"
)

func parse(t *testing.T, args ...string) (command, error) {
	t.Helper()
	var c command
	parser, err := kong.New(&c, kong.Vars(target.Vars()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return c, err
}

func TestFlags(t *testing.T) {
	t.Parallel()
	c, err := parse(t, "--shop", "shop.json", "--orders", "5000", "--concurrency", "64", "--no-verify", "--patient", "--timeout", "90s")
	if err != nil {
		t.Fatal(err)
	}
	if c.Shop != "shop.json" || c.Orders != 5000 || c.Concurrency != 64 || !c.NoVerify || !c.Patient || c.Timeout != 90*time.Second ||
		c.Lines != 2 || c.Seed != 1 || c.Follow != "events" {
		t.Errorf("got %+v", c)
	}
	for _, args := range [][]string{{"--orders=0"}, {"--lines=0"}, {"--concurrency=0"}, {"--timeout=0s"}, {"--orders=-3"}} {
		c, err := parse(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), strings.Split(args[0], "=")[0]) {
			t.Errorf("%v: got %v; want an error that names the flag", args, err)
		}
	}
	for _, args := range [][]string{{"--csv", "nowhere.csv"}, {"--follow", "pigeons"}, {"--orders", "many"}} {
		if _, err := parse(t, args...); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

func TestAcknowledgedOrdersAreAppended(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "acknowledged")
	for _, id := range []string{"one", "two"} { // two runs, one file
		a, err := openAcknowledged(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.add(id), a.close()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{id}, a.list); diff != "" {
			t.Error(diff)
		}
		if err := a.add("three"); err == nil {
			t.Error("an order that could not be noted was passed over")
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "one\ntwo\n" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		report loadgen.Report
		fails  bool
	}{
		"Good":        {loadgen.Report{Verify: &loadgen.Verdict{OK: true}}, false},
		"NotVerified": {loadgen.Report{}, false},
		"SoldOut":     {loadgen.Report{Errors: map[loadgen.Kind]int{loadgen.OutOfStock: 3}}, false},
		"Fault":       {loadgen.Report{Errors: map[loadgen.Kind]int{loadgen.NotConfirmed: 1}}, true},
		"Findings":    {loadgen.Report{Verify: &loadgen.Verdict{}}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := failure(c.report); errors.Is(err, errFailed) != c.fails {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	c := command{JSON: filepath.Join(t.TempDir(), "report.json")}
	var out bytes.Buffer
	if err := c.publish(loadgen.Report{Orders: 7, Errors: map[loadgen.Kind]int{}}, &out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(c.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Orders int }
	if err := json.Unmarshal(data, &got); err != nil || got.Orders != 7 || !strings.Contains(out.String(), "7 complete purchases") {
		t.Errorf("got %+v, %v and %q", got, err, out.String())
	}
}

// Nothing is bought that cannot be looked at afterwards: who is missing is named before, not after 5,000 purchases.
func TestNothingIsBoughtBlindly(t *testing.T) {
	for _, name := range []string{"TILLSTREAM_SHOP", "NATS_URL", "MONGODB_URI", "STRIPE_SECRET_KEY"} {
		t.Setenv(name, "")
	}
	asked := make(chan struct{}, 10)
	shop := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	defer shop.Close()
	file := filepath.Join(t.TempDir(), "invoices.csv")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"Verify":         {nil, "--nats, or --shop with the ready file of a shop that has it; --no-verify"},
		"CSV":            {[]string{"--csv", file, "--no-verify"}, "--nats"},
		"CSVNoDatabase":  {[]string{"--csv", file, "--nats", "nats://127.0.0.1:1"}, "--mongodb"},
		"CSVNoStripeKey": {[]string{"--csv", file, "--nats", "nats://127.0.0.1:1", "--mongodb", "mongodb://127.0.0.1:1/"}, "--stripe-secret-key"},
	} {
		c, err := parse(t, append([]string{"--storefront", shop.URL, "--stripe", shop.URL}, test.args...)...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v; want %q", name, err, test.says)
		}
	}
	c, err := parse(t, "--storefront", "http://127.0.0.1:1", "--stripe", shop.URL, "--no-verify")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.run(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "is the shop running?") {
		t.Errorf("nobody there: got %v", err)
	}
	if len(asked) > 0 {
		t.Errorf("the shop was asked %d times", len(asked))
	}
}
