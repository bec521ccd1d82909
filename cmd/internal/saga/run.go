package saga

import (
	"context"
	"maps"
	"sync"
	"testing"

	"tillstream/events/log"
	"tillstream/events/worker"
)

// domain is what a process runs.
type domain interface {
	Deciders() []worker.Decider
	Actors() []worker.Actor
}

// sendsMail is the one actor that a saga does without.
const sendsMail = "notifications-mail"

// Replica is one process of a domain.
type Replica struct {
	Log    *log.Log
	Worker worker.Config

	running *consumers
}

// consumers counts, by name, the running processes that read from each.
type consumers struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *consumers) add(w worker.Config, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range w.Deciders {
		c.count[d.Name] += n
	}
	for _, a := range w.Actors {
		c.count[a.Name] += n
	}
	maps.DeleteFunc(c.count, func(_ string, n int) bool { return n == 0 })
}

func (c *consumers) names() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.count)
}

// Replica makes another process of a domain, not running yet.
func (s *Shop) Replica(t testing.TB, name string) *Replica {
	t.Helper()
	return s.replica(t, name, s.openLog(t, name))
}

func (s *Shop) replica(t testing.TB, name string, l *log.Log) *Replica {
	t.Helper()
	d, err := s.build(name, l)
	if err != nil {
		t.Fatal(err)
	}
	r := &Replica{Log: l, Worker: worker.Config{Deciders: d.Deciders()}, running: &s.running}
	for _, a := range d.Actors() {
		if a.Name != sendsMail {
			r.Worker.Actors = append(r.Worker.Actors, a)
		}
	}
	return r
}

// Run works until the test ends or stop is called; stop waits for it.
func (r *Replica) Run(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	r.running.add(r.Worker, 1)
	go func() {
		defer close(done)
		defer r.running.add(r.Worker, -1)
		if err := worker.New(r.Log, r.Worker).Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// Run starts the first process of each domain named, or of all.
func (s *Shop) Run(t testing.TB, names ...string) (stop func()) {
	t.Helper()
	if len(names) == 0 {
		names = Domains
	}
	var stops []func()
	for _, name := range names {
		stops = append(stops, s.replica(t, name, s.logs[name]).Run(t))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
