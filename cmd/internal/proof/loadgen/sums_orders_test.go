package loadgen_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/events"
)

// watchedDatabase counts the questions that a database is asked.
func watchedDatabase(t *testing.T, db *mongo.Database, uri string) (*mongo.Database, *atomic.Int64) {
	t.Helper()
	asked := new(atomic.Int64)
	watch := &event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
		if e.CommandName == "find" {
			asked.Add(1)
		}
	}}
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetMonitor(watch).SetBSONOptions(&options.BSONOptions{UseJSONStructTags: true}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, client.Disconnect(context.Background())) })
	return client.Database(db.Name()), asked
}

// The orders are read once, however many there are. Only those that the projection has not written yet are asked for again.
func TestOrdersAreReadOnce(t *testing.T) {
	t.Parallel()
	b := newBookkeeping(t)
	db, asked := watchedDatabase(t, b.db, b.uri)
	var ids []string
	for i := range 450 {
		ids = append(ids, fmt.Sprintf("order-%03d", i))
	}
	slices.Sort(ids)
	line := events.OrderLine{SKU: "10001", Quantity: 2}
	for _, id := range ids[:449] {
		must(t, b.store(t.Context(), id, "confirmed", 100, 150, line))
	}
	must(t, b.store(t.Context(), "order-444-of-a-stranger", "confirmed", 100, 150, line))

	var told int
	sum, err := loadgen.SumOrders(t.Context(), db, ids[:449], func(_ string, done, total int) { told = done*1000 + total })
	want := loadgen.Sum{Source: "orders collection", Orders: 449, Units: map[string]int64{"10001": 898}, Goods: pence(44900), Revenue: pence(67350)}
	if diff := cmp.Diff(want, sum); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if n := asked.Swap(0); n != 1 {
		t.Errorf("the database was asked %d times, want once", n)
	}
	if told != 449449 {
		t.Errorf("was told %d last, want 449 of 449", told)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	sum, err = loadgen.SumOrders(ctx, db, ids, func(string, int, int) {})
	if diff := cmp.Diff(want, sum); err != nil || diff != "" {
		t.Errorf("one is behind: %v\n%s", err, diff)
	}
	if n := asked.Load(); n < 2 || n > 3 {
		t.Errorf("the database was asked %d times, want once and then for the one that is behind", n)
	}
}
