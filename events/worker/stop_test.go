package worker_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/events/worker"
)

// Row 59 of the fault matrix, before there is any load: a worker that is stopped while the broker opens what it reads, or
// does not, has not failed.
func TestAWorkerIsStoppedWhileItsLanesBegin(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, wire := wired(t, server.URL())
	w, err := worker.New(t.Context(), l, only(marker(l)))
	if err != nil {
		t.Fatal(err)
	}
	wire.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	until(t, "somebody waits for the broker", wire.Holding)
	cancel()
	if err := within(t, 30*time.Second, ended, "the end"); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// A worker whose broker is gone is stopped like any other: within half a minute.
func TestAWorkerIsStoppedWithoutABroker(t *testing.T) {
	t.Parallel()
	server := logtest.Server(t)
	l, wire := wired(t, server.URL(), func(c *eventlog.Config) { c.Patience = time.Second })
	p := start(t, l, only(marker(l), acting(1, func(context.Context, string) error { return nil })))
	place(t, l, "a")
	expect(t, l, events.PrefixReservation, 1)
	wire.Refuse()
	until(t, "the connection is gone", func() bool { return !l.JetStream().Conn().IsConnected() })
	ended := make(chan struct{})
	began := time.Now()
	go func() { defer close(ended); p.stop() }()
	within(t, 30*time.Second, ended, "the end")
	t.Logf("stopped in %s", time.Since(began))
}

// Nothing that stands in the log later is handled before what stands there earlier, also when a worker is stopped while it
// cannot handle the earlier one. Its successor goes on with that.
func TestAStopLeavesNoEventOut(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	placed := placeMany(t, l, "o", 1200) // more than are taken at once
	var first, second ids
	stopping := make(chan struct{})
	reached := make(chan struct{}, 1000)
	p := start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		first.add(id)
		if id == placed[700] {
			reached <- struct{}{}
			<-stopping
			return eventlog.ErrUnavailable
		}
		return markOnce(tx, id)
	})))
	within(t, patience, reached, "the event that cannot be handled")
	p.cancel()
	close(stopping)
	p.stop()
	if heard := first.all(); slices.Index(placed, heard[len(heard)-1]) > 700 {
		t.Fatalf("%s was handled, and %s was not", heard[len(heard)-1], placed[700])
	}
	start(t, l, only(onPlaced(l, func(tx *eventlog.Tx, id string) error {
		second.add(id)
		return markOnce(tx, id)
	}))).caughtUp(t, "inventory")
	for i, e := range read(t, l, events.PrefixReservation) {
		if want := events.PrefixReservation + placed[i]; e.Subject != want {
			t.Fatalf("fact %d is about %s, want %s", i, e.Subject, want)
		}
	}
	if heard := second.all(); slices.Index(placed, heard[0]) > 700 {
		t.Errorf("the successor began with %s", heard[0])
	}
}
