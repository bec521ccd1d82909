package coretest

import (
	"context"
	"slices"
	"testing"

	"tillstream/events/log"
	"tillstream/events/worker"
)

// domain is what a process runs.
type domain interface {
	Worker() worker.Domain
}

// sendsMail is the one lane that a saga does without.
const sendsMail = "notifications.mail"

// Replica is one process, which runs one or several domains.
type Replica struct {
	Log    *log.Log
	Config worker.Config

	shop *Shop
}

// Replica makes another process of some domains, not running yet.
func (s *Shop) Replica(t testing.TB, names ...string) *Replica {
	t.Helper()
	source := "shop"
	if len(names) == 1 {
		source = names[0]
	}
	return s.replica(t, s.openLog(t, source), names...)
}

func (s *Shop) replica(t testing.TB, l *log.Log, names ...string) *Replica {
	t.Helper()
	r := &Replica{Log: l, shop: s}
	for _, name := range names {
		d, err := s.build(name, l.ForDomain(name))
		if err != nil {
			t.Fatal(err)
		}
		lanes := d.Worker()
		lanes.Actors = slices.DeleteFunc(lanes.Actors, func(a worker.Actor) bool { return a.Name == sendsMail })
		lanes.Periodics = nil // they ask projections, which a saga has none of
		r.Config.Domains = append(r.Config.Domains, lanes)
	}
	return r
}

// Run works until the test ends or stop is called; stop waits for it.
func (r *Replica) Run(t testing.TB) (stop func()) {
	t.Helper()
	w, err := worker.New(t.Context(), r.Log, r.Config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	r.shop.running.add(w)
	go func() {
		defer close(done)
		defer r.shop.running.remove(w)
		if err := w.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// Run starts the first process of each domain named, or of all: one process for all of them, or one each where the shop is
// [Config.Apart].
func (s *Shop) Run(t testing.TB, names ...string) (stop func()) {
	t.Helper()
	if len(names) == 0 {
		names = Domains
	}
	if !s.config.Apart {
		return s.replica(t, s.logs["shop"], names...).Run(t)
	}
	var stops []func()
	for _, name := range names {
		stops = append(stops, s.replica(t, s.logs[name], name).Run(t))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
