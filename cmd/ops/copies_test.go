package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"tillstream/events/embedded"
	"tillstream/events/log/logtest"
	"tillstream/events/view"
	"tillstream/orders"
)

// Rows 26 and 58 of the fault matrix, as an operator sees them: what a database has lost is named by a dry run, given back
// by the command, and whole afterwards.
func TestRebuildAndRepair(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	mongo, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mongo.Stop)
	db, err := view.Connect(t.Context(), mongo.URI())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Client().Disconnect(context.WithoutCancel(t.Context())) })
	for _, id := range []string{"o1", "o2", "o3"} {
		b.refused(id)
	}
	remember(t, b, view.Config{DB: db, Window: 10 * time.Millisecond})
	target := []string{"--nats", b.url, "--mongodb", mongo.URI()}
	try := func(line string, want int, says ...string) {
		t.Helper()
		code, stdout, stderr := ops(t, append(strings.Fields(line), target...)...)
		shown := strings.Join(strings.Fields(stdout+stderr), " ")
		for _, text := range says {
			if code != want || !strings.Contains(shown, text) {
				t.Errorf("ops %s: exit %d, want %d and %q\n%s%s", line, code, want, text, stdout, stderr)
			}
		}
	}
	try("rebuild orders-view --dry-run", exitOK, "orders-view orders 3 0 0 0 0 as the log says")
	try("repair", exitOK, "ORDERS 6 6 0 0 0 both are whole")
	if err := db.Collection("orders").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	try("rebuild orders --dry-run", exitOff, "orders-view orders 3 3 0 0 0 drifted", "o2: is missing")
	try("rebuild orders --json", exitOK, `"swapped": true`, `"missing": 3`)
	try("rebuild orders --dry-run", exitOK, "as the log says")
	if err := db.Collection("orders_archive").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	try("repair --limit 2", exitOff, "ORDERS 6 0 0 6 0 something is missing", "not in orders_archive ORDERS/2 orders.rejected orders.o1 o1-3",
		"4 more are not in orders_archive", "--yes restores")
	try("repair --yes", exitOK, "restored")
	try("repair --json", exitOK, `"archive_lost": { "count": 0 }`)
	try("rebuild socks", exitFailed, `no view "socks": there are orders-view, orders, inventory-view`)
	try("rebuild payments-view", exitFailed, "never run on this broker")
}

// remember lets the orders' view write everything there is.
func remember(t *testing.T, b *broker, config view.Config) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	l := logtest.OpenOn(t, b.server)
	go func() { done <- view.New(l, orders.Views()[0], config).Run(ctx) }()
	deadline := time.After(30 * time.Second)
	for ticker := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("the view never caught up")
		}
		c, err := b.js.Consumer(t.Context(), "ORDERS", "orders-view")
		if err == nil && c.CachedInfo().AckFloor.Stream == 6 {
			break
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
