package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/archive"
	"tillstream/events/project"
	"tillstream/events/worker"
	"tillstream/orders"
)

// Rows 26 and 58 of the fault matrix: after a collection or the archive is lost, a dry run names what is missing, and the
// command restores it.
func TestRebuildAndRepair(t *testing.T) {
	t.Parallel()
	b, db, uri := projected(t)
	try := trying(t, "--nats", b.url, "--mongodb", uri)
	try("rebuild orders.projection --dry-run", exitOK, "orders 3 0 0 0 0 ok")
	try("repair", exitOK, "10 10 0 0 0 both are complete")
	if err := db.Collection("orders").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	try("rebuild orders --dry-run", exitProblem, "orders 3 3 0 0 0 differs", "o2: is missing")
	try("rebuild orders --json", exitOK, `"written": true`, `"missing": 3`)
	try("rebuild orders --dry-run", exitOK, "orders 3 0 0 0 0 ok")
	if err := db.Collection(archive.Collection).Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	try("repair --limit 3", exitProblem, "11 0 0 10 0 events are missing", "not in the archive 3 orders.rejected orders.o1 o1-3",
		"not in the archive: 7 events more", "--yes restores")
	try("repair --yes", exitOK, "restored")
	try("repair --json", exitOK, `"archive_lost": { "count": 0 }`)
	try("rebuild socks", exitFailed, `no projection "socks": want one of orders.projection, orders, payments.projection`)
	try("rebuild payments.projection", exitFailed, "never run on this broker")
}

// The first documents are named, and the others are counted.
func TestRebuildNamesDocumentsAndIndexesThatDiffer(t *testing.T) {
	t.Parallel()
	found := project.CollectionReport{Name: "orders", Documents: 30, Missing: 25, MissingIndexes: []string{"doc_number"}}
	for i := range 25 {
		found.Drifts = append(found.Drifts, project.Drift{ID: fmt.Sprintf("o%d", i), Detail: "is missing"})
	}
	for _, test := range []struct {
		written bool
		want    string
	}{{false, "orders 30 25 0 0 0 differs orders index doc_number is missing orders o0: is missing"}, {true, "orders 30 25 0 0 0 rebuilt orders index"}} {
		var out, notes bytes.Buffer
		reports := []project.RebuildReport{{Projection: "orders.projection", Collections: []project.CollectionReport{found}, Written: test.written}}
		if err := writeRebuild(reports, &terminal{out: &out, err: &notes}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(words(out.String()), test.want) || !strings.Contains(notes.String(), "orders: and 5 more documents") {
			t.Errorf("written %v: got\n%s%s\nwant %q", test.written, out.String(), notes.String(), test.want)
		}
	}
}

// projected returns a broker with three orders and, as event 10, the API key of the tests, and a database with their projection and archive.
func projected(t *testing.T) (b *broker, db *mongo.Database, uri string) {
	t.Helper()
	b = newBroker(t)
	db, uri = database(t)
	for _, id := range []string{"o1", "o2", "o3"} {
		b.rejectedOrder(id)
	}
	b.admit()
	b.project(db)
	return b, db, uri
}

// project runs the orders' projection and the archive until they have reached the end of the log.
func (b *broker) project(db *mongo.Database) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	const window = 10 * time.Millisecond
	lanes := []worker.Batch{orders.Projections()[0].Batch(b.log, project.Config{DB: db, Window: window}),
		archive.Batch(b.log, archive.Config{DB: db, Window: window})}
	w, err := worker.New(ctx, b.log, worker.Config{Batches: lanes})
	if err != nil {
		b.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	end, err := b.log.End(ctx, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	deadline := time.After(30 * time.Second)
	for ticker := time.NewTicker(20 * time.Millisecond); slices.ContainsFunc(w.Lanes(), func(l worker.LaneStatus) bool { return l.Position < end }); {
		select {
		case <-ticker.C:
		case <-deadline:
			b.t.Fatalf("got lanes at %v after 30 s, want all at %d", w.Lanes(), end)
		}
	}
	cancel()
	if err := <-done; err != nil {
		b.t.Fatal(err)
	}
}
