package staff

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/embedded"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
)

const (
	secret   = "the secret of a shop in a test"
	password = "correct horse battery staple"
)

// boss is the author of what the tests do.
var boss = events.Author{Actor: "staff:boss", Reason: "a test", Via: "test"}

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// process is a process of a shop, with what it logs.
type process struct {
	*Service
	clock *clock
	out   *bytes.Buffer
}

// startOn starts a process on a broker, with a directory that follows the log.
func startOn(t *testing.T, server *embedded.NATS, secrets string) *process {
	t.Helper()
	p := &process{clock: &clock{at: time.Now().UTC().Truncate(time.Second)}, out: &bytes.Buffer{}}
	l := logtest.OpenOn(t, server, func(c *eventlog.Config) {
		c.Source, c.Owns, c.Now = "ops", nil, p.clock.now
		c.Logger = slog.New(slog.NewTextHandler(p.out, nil))
	})
	directory := NewDirectory(l)
	if err := directory.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := directory.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	waitFor(t, "the directory follows the log", func() bool {
		directory.mu.RLock()
		defer directory.mu.RUnlock()
		return directory.following
	})
	var err error
	if p.Service, err = New(Config{Directory: directory, Log: l, Secrets: secrets}); err != nil {
		t.Fatal(err)
	}
	return p
}

func start(t *testing.T) *process { return startOn(t, logtest.Server(t), secret) }

// join adds an account that has set its password.
func (p *process) join(t *testing.T, name string, role api.Role) {
	t.Helper()
	link, err := p.Add(t.Context(), Addition{Name: name, Role: role}, boss)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Accept(t.Context(), link.Token, password, "console 192.0.2.7"); err != nil || got != name {
		t.Fatalf("accept the link: got %q, %v; want %s", got, err, name)
	}
}

// signIn begins a session.
func (p *process) signIn(t *testing.T, name string) NewSession {
	t.Helper()
	session, err := p.SignIn(t.Context(), Credentials{Name: name, Password: password, Address: "192.0.2.7", Via: "console 192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// knows reports whether a token or key opens the staff routes of a process.
func (p *process) knows(token string) bool {
	_, ok := p.directory.Staff("Bearer " + token)
	return ok
}

// waitFor polls a condition until it holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker, enough := time.NewTicker(time.Millisecond), time.After(30*time.Second)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-enough:
			t.Fatalf("waited 30s until %s", what)
		}
	}
}
