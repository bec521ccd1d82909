package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"tillstream/cmd/internal/invariants"
	"tillstream/cmd/internal/process"
	"tillstream/cmd/internal/target"
	"tillstream/events/api"
	"tillstream/events/replay"
)

// patience is how long a test waits for a condition. Only many tests on a small machine need nearly as long.
const patience = 40 * time.Second

// anyPort has the system choose a port.
const anyPort = "127.0.0.1:0"

// testShop is a shop that runs for one test, with what shoppers, staff and tests do to it.
type testShop struct {
	target.Shop
	config Config
	http   *http.Client
	log    *replay.Reader
	dead   []invariants.DeadLetter // dead letters that the test caused
	detach func()                  // closes log
	close  func(t *testing.T)      // stops the shop, once
}

// testConfig returns the configuration of a shop in a new directory, without demo items.
func testConfig(t *testing.T, change func(*Config)) Config {
	t.Helper()
	config := Config{Data: t.TempDir(), HTTP: anyPort, Ops: anyPort, NATS: anyPort, Mongo: anyPort, Stripe: anyPort, SMTP: anyPort, NoDemo: true,
		CardAttempts: 10, HoldFor: 30 * time.Minute, MailLimit: 20, MailFrom: "The Test Shop <orders@shop.example>", MaxOrderLines: 100, SweepEvery: time.Minute, TokenLifetime: 9600 * time.Hour,
		HoldLimit: process.HoldLimit{Percent: 50, Always: 20}, Proxying: process.Proxying{TrustedProxies: api.Proxies{netip.MustParsePrefix("127.0.0.0/8")}}}
	if change != nil {
		change(&config)
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	return config
}

// startShop opens a shop that closes with the test. The test fails if an invariant does not hold then.
func startShop(t *testing.T, change func(*Config)) *testShop {
	t.Helper()
	ts := openShop(t, testConfig(t, change))
	t.Cleanup(func() {
		if !t.Failed() {
			ts.verify(t)
		}
		ts.close(t)
	})
	return ts
}

// openShop runs a shop and returns when it is ready.
func openShop(t *testing.T, config Config) *testShop {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	opened, ended := make(chan struct{}), make(chan error, 1)
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	go func() { ended <- Run(ctx, config, logger, &readySignal{ready: opened}) }()
	select {
	case <-opened:
	case err := <-ended:
		cancel()
		t.Fatalf("Run() = %v before the shop was ready", err)
	case <-time.After(patience):
		cancel()
		t.Fatalf("the shop is not ready after %s", patience)
	}
	ts := &testShop{config: config, http: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), Timeout: patience}}
	readFile(t, filepath.Join(config.Data, "ready.json"), &ts.Shop)
	ts.attach(t)
	var once sync.Once
	ts.close = func(t *testing.T) {
		once.Do(func() {
			ts.detach()
			cancel()
			awaitEnd(t, ended)
		})
	}
	t.Cleanup(func() { ts.close(t) })
	return ts
}

// attach opens the log, as the operators' tools do.
func (ts *testShop) attach(t *testing.T) {
	t.Helper()
	var err error
	if ts.log, ts.detach, err = ts.Log(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// closingTime is how long a shop may take to stop.
const closingTime = 30 * time.Second

func awaitEnd(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	case <-time.After(closingTime):
		t.Errorf("the shop still runs %s after it was stopped", closingTime)
		_ = pprof.Lookup("goroutine").WriteTo(t.Output(), 1) // shows what it waits for
	}
}

// verify checks the invariants of the whole shop, as `ops verify` does. The acknowledged orders must exist.
func (ts *testShop) verify(t *testing.T, acknowledged ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	options, done, err := invariants.Attach(ctx, ts.Shop)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	options.Acknowledged, options.ExpectedDeadLetters = acknowledged, ts.dead
	report, err := invariants.Check(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		t.Errorf("invariant %s: %s %s", finding.Invariant, finding.Subject, finding.Detail)
	}
}

// readySignal closes a channel at the first write: the shop prints its addresses when it is ready.
type readySignal struct {
	once  sync.Once
	ready chan struct{}
}

// Write implements [io.Writer].
func (s *readySignal) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.ready) })
	return len(p), nil
}

func readFile(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// waitFor polls a condition until it holds, and ends the test if it does not.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	again, enough := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-enough:
			t.Fatalf("waited %s until %s", patience, what)
		}
	}
}

// answer is an HTTP response that was read to its end.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// into decodes the answer after checking its status.
func (a answer) into(t *testing.T, status int, v any) {
	t.Helper()
	if a.Status != status {
		t.Fatalf("status %d, want %d: %.500s", a.Status, status, a.Body)
	}
	if err := json.Unmarshal(a.Body, v); err != nil {
		t.Fatalf("%v in %.200q", err, a.Body)
	}
}

// send sends a request.
func (ts *testShop) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	a, err := ts.try(r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (ts *testShop) try(r *http.Request) (answer, error) {
	response, err := ts.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	if err := apiContract.load(ts.openAPI); err != nil {
		return answer{}, err
	}
	return answer{response.StatusCode, response.Header, body}, apiContract.check(r, response.StatusCode, response.Header, body)
}

func (ts *testShop) openAPI() ([]byte, error) {
	response, err := ts.http.Get(ts.Storefront + "/openapi.json")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// together sends requests concurrently.
func (ts *testShop) together(t *testing.T, requests []*http.Request) []answer {
	t.Helper()
	answers, problems := make([]answer, len(requests)), make([]error, len(requests))
	var all sync.WaitGroup
	for i, r := range requests {
		all.Go(func() { answers[i], problems[i] = ts.try(r) })
	}
	all.Wait()
	if err := errors.Join(problems...); err != nil {
		t.Fatal(err)
	}
	return answers
}

// origin returns the origin that serves a path: staff have one of their own.
func (ts *testShop) origin(path string) string {
	if strings.HasPrefix(path, "/ops/") {
		return ts.Ops
	}
	return ts.Storefront
}

// request returns a request to the storefront; an empty bearer sends no token.
func (ts *testShop) request(t *testing.T, method, path, bearer string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, ts.origin(path)+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// get sends a GET request to the storefront.
func (ts *testShop) get(t *testing.T, path, bearer string) answer {
	t.Helper()
	return ts.send(t, ts.request(t, http.MethodGet, path, bearer, nil))
}

// isProblem fails unless the answer is a problem document with its own status and a title.
func isProblem(t *testing.T, a answer) {
	t.Helper()
	var problem struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}
	if kind := a.Header.Get("Content-Type"); kind != "application/problem+json" {
		t.Errorf("status %d has Content-Type %q, want application/problem+json: %.200s", a.Status, kind, a.Body)
	}
	if err := json.Unmarshal(a.Body, &problem); err != nil || problem.Status != a.Status || problem.Title == "" {
		t.Errorf("status %d has body %.300q (%v), want a problem with this status and a title", a.Status, a.Body, err)
	}
}
