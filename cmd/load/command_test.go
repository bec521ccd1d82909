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

func TestFlagsAreParsedAndChecked(t *testing.T) {
	t.Parallel()
	c, err := parse(t, "--shop", "shop.json", "--orders", "5000", "--concurrency", "64", "--no-verify", "--patient", "--timeout", "90s")
	if err != nil {
		t.Fatal(err)
	}
	if c.Shop != "shop.json" || c.Orders != 5000 || c.Concurrency != 64 || !c.NoVerify || !c.Patient || c.Timeout != 90*time.Second ||
		c.Lines != 2 || c.Seed != 1 || c.Follow != "events" {
		t.Errorf("got %+v, want the given flags and the defaults of the others", c)
	}
	for _, args := range [][]string{{"--orders=0"}, {"--lines=0"}, {"--concurrency=0"}, {"--timeout=0s"}, {"--orders=-3"}} {
		c, err := parse(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), strings.Split(args[0], "=")[0]) {
			t.Errorf("%v: got %v, want an error that names the flag", args, err)
		}
	}
	for _, args := range [][]string{{"--csv", "nowhere.csv"}, {"--follow", "webhooks"}, {"--orders", "many"}} {
		if _, err := parse(t, args...); err == nil {
			t.Errorf("%v: got no error, want a refusal", args)
		}
	}
}

func TestAcknowledgedOrdersAreAppended(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "acknowledged")
	for _, id := range []string{"one", "two"} { // two runs append to one file
		a, err := openAcknowledged(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.add(id), a.close()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{id}, a.list); diff != "" {
			t.Errorf("list (-want +got):\n%s", diff)
		}
		if err := a.add("three"); err == nil {
			t.Error("add to a closed file: got no error")
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "one\ntwo\n" {
		t.Errorf("file: got %q, %v, want both orders", data, err)
	}
}

func TestFailureDependsOnReport(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		report loadgen.Report
		fails  bool
	}{
		"Confirmed":    {loadgen.Report{Verify: &loadgen.Verdict{OK: true}}, false},
		"NotVerified":  {loadgen.Report{}, false},
		"OutOfStock":   {loadgen.Report{Errors: map[loadgen.Kind]int{loadgen.OutOfStock: 3}}, false},
		"NotConfirmed": {loadgen.Report{Errors: map[loadgen.Kind]int{loadgen.NotConfirmed: 1}}, true},
		"Findings":     {loadgen.Report{Verify: &loadgen.Verdict{}}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := failure(c.report); errors.Is(err, errFailed) != c.fails {
				t.Errorf("got %v, want failed %t", err, c.fails)
			}
		})
	}
}

func TestPublishWritesTextAndJSON(t *testing.T) {
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
		t.Errorf("got JSON %+v, %v and text %q, want 7 orders in both", got, err, out.String())
	}
}

// A run that could not be checked is refused before it buys, and the error names the missing flag.
func TestUncheckableRunIsRefused(t *testing.T) {
	for _, name := range []string{"TILLSTREAM_SHOP", "NATS_URL", "MONGODB_URI", "STRIPE_SECRET_KEY"} {
		t.Setenv(name, "")
	}
	requests := make(chan struct{}, 10)
	shop := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests <- struct{}{} }))
	defer shop.Close()
	file := filepath.Join(t.TempDir(), "invoices.csv")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		text string
	}{
		"Verify":         {nil, "--nats"},
		"CSV":            {[]string{"--csv", file, "--no-verify"}, "--nats"},
		"CSVNoDatabase":  {[]string{"--csv", file, "--nats", "nats://127.0.0.1:1"}, "--mongodb"},
		"CSVNoStripeKey": {[]string{"--csv", file, "--nats", "nats://127.0.0.1:1", "--mongodb", "mongodb://127.0.0.1:1/"}, "--stripe-secret-key"},
	} {
		c, err := parse(t, append([]string{"--storefront", shop.URL, "--stripe", shop.URL}, test.args...)...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.run(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: got %v, want an error with %q", name, err, test.text)
		}
	}
	c, err := parse(t, "--storefront", "http://127.0.0.1:1", "--stripe", shop.URL, "--no-verify")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.run(t.Context(), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "is the shop running?") {
		t.Errorf("no server: got %v, want the question whether the shop is running", err)
	}
	if len(requests) > 0 {
		t.Errorf("got %d requests, want none", len(requests))
	}
}
