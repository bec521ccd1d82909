package coretest

import (
	"context"
	"slices"
	"testing"

	eventlog "tillstream/events/log"
	"tillstream/events/worker"
)

// domain is a part of the shop that a worker runs.
type domain interface {
	Worker() worker.Domain
}

// mailLane is run only with [Config.Mail]: otherwise mail stays queued.
const mailLane = "notifications.mail"

// Replica is one process of a shop, which runs one or more domains.
type Replica struct {
	Log    *eventlog.Log
	Config worker.Config

	shop *Shop
}

// Replica returns another process for some domains, with a log of its own. Its Run method starts it.
func (s *Shop) Replica(t testing.TB, names ...string) *Replica {
	t.Helper()
	source := "shop"
	if len(names) == 1 {
		source = names[0]
	}
	return s.replica(t, s.openLog(t, source), names...)
}

func (s *Shop) replica(t testing.TB, l *eventlog.Log, names ...string) *Replica {
	t.Helper()
	r := &Replica{Log: l, shop: s}
	for _, name := range names {
		d, err := s.build(name, l.ForDomain(name))
		if err != nil {
			t.Fatal(err)
		}
		lanes := d.Worker()
		lanes.Actors = slices.DeleteFunc(lanes.Actors, func(a worker.Actor) bool { return a.Name == mailLane && s.Inbox == nil })
		lanes.Periodics = nil // they read projections, which need a database
		r.Config.Domains = append(r.Config.Domains, lanes)
	}
	return r
}

// Run runs the process until the test ends or stop is called. stop waits until it has ended.
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

// Run runs the named domains, or all: in one process, or with [Config.Separate] in one process each.
func (s *Shop) Run(t testing.TB, names ...string) (stop func()) {
	t.Helper()
	if len(names) == 0 {
		names = Domains
	}
	if !s.config.Separate {
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
