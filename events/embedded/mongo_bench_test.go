package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// orderDoc returns a document of about 600 bytes, the size of an order in its projection.
func orderDoc(id int, seq int64) bson.D {
	return bson.D{
		{Key: "_id", Value: docID(id)},
		{Key: "seq", Value: seq},
		{Key: "status", Value: []string{"placed", "confirmed", "rejected", "expired"}[id%4]},
		{Key: "placed_at", Value: time.UnixMilli(1_700_000_000_000 + int64(id))},
		{Key: "total", Value: bson.D{{Key: "amount", Value: int64(1250)}, {Key: "currency", Value: "GBP"}}},
		{Key: "lines", Value: bson.A{
			bson.D{{Key: "sku", Value: "85123A"}, {Key: "quantity", Value: 2}, {Key: "title", Value: "WHITE HANGING HEART T-LIGHT HOLDER"}},
			bson.D{{Key: "sku", Value: "71053"}, {Key: "quantity", Value: 1}, {Key: "title", Value: "WHITE METAL LANTERN"}},
		}},
		{Key: "address", Value: strings.Repeat("12 Long Acre ", 12)},
	}
}

func docID(id int) string { return fmt.Sprintf("0190a1b2-7c3d-7e4f-8a5b-%012d", id) }

// filled returns a collection with n documents.
func filled(b *testing.B, n int) *mongo.Collection {
	b.Helper()
	m := startMongo(b, MongoConfig{Dir: b.TempDir()})
	c := connect(b, m).Database("shop").Collection("orders")
	for _, field := range []string{"status", "placed_at"} {
		if _, err := c.Indexes().CreateOne(b.Context(), mongo.IndexModel{Keys: bson.D{{Key: field, Value: 1}}}); err != nil {
			b.Fatal(err)
		}
	}
	if err := m.IndexIDs(b.Context()); err != nil {
		b.Fatal(err)
	}
	for from := 0; from < n; from += 500 {
		insert(b, c, from, 500)
	}
	return c
}

func insert(b *testing.B, c *mongo.Collection, from, n int) {
	b.Helper()
	docs := make([]any, n)
	for i := range docs {
		docs[i] = orderDoc(from+i, 1)
	}
	if _, err := c.InsertMany(b.Context(), docs, options.InsertMany().SetOrdered(false)); err != nil {
		b.Fatal(err)
	}
}

// perSecond reports documents per second, for operations of any size.
func perSecond(b *testing.B, docs int) {
	b.ReportMetric(float64(docs)/b.Elapsed().Seconds(), "docs/s")
}

func BenchmarkInsertMany500(b *testing.B) {
	c := filled(b, 0)
	n := 0
	for b.Loop() {
		insert(b, c, n, 500)
		n += 500
	}
	perSecond(b, n)
}

func BenchmarkReplaceByID(b *testing.B) {
	for _, size := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := filled(b, size)
			n := 0
			for b.Loop() {
				replace(b, c, bson.D{{Key: "_id", Value: docID(n % size)}}, n%size)
				n++
			}
			perSecond(b, n)
		})
	}
}

func replace(b *testing.B, c *mongo.Collection, filter bson.D, id int) {
	b.Helper()
	if _, err := c.ReplaceOne(b.Context(), filter, orderDoc(id, 2), options.Replace().SetUpsert(true)); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkReplaceIfOlder(b *testing.B) {
	const size = 10_000
	c := filled(b, size)
	n := 0
	for b.Loop() {
		filter := bson.D{{Key: "_id", Value: docID(n % size)}, {Key: "seq", Value: bson.D{{Key: "$lt", Value: int64(5)}}}}
		replace(b, c, filter, n%size)
		n++
	}
	perSecond(b, n)
}

func BenchmarkBulkReplace20(b *testing.B) {
	const size = 10_000
	c := filled(b, size)
	n := 0
	for b.Loop() {
		if err := bulkReplace(b.Context(), c, n%size, 20); err != nil {
			b.Fatal(err)
		}
		n += 20
	}
	perSecond(b, n)
}

func bulkReplace(ctx context.Context, c *mongo.Collection, from, n int) error {
	models := make([]mongo.WriteModel, n)
	for i := range models {
		models[i] = mongo.NewReplaceOneModel().SetUpsert(true).
			SetFilter(bson.D{{Key: "_id", Value: docID(from + i)}}).SetReplacement(orderDoc(from+i, 3))
	}
	_, err := c.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	return err
}

func BenchmarkFind(b *testing.B) {
	c := filled(b, 10_000)
	ids := make(bson.A, 100)
	for i := range ids {
		ids[i] = docID(i * 97)
	}
	newest := options.Find().SetSort(bson.D{{Key: "placed_at", Value: -1}}).SetLimit(50)
	for _, q := range []struct {
		name   string
		filter bson.D
		opts   *options.FindOptionsBuilder
	}{
		{"ByID", bson.D{{Key: "_id", Value: docID(4711)}}, options.Find()},
		{"ByStatusNewest50", bson.D{{Key: "status", Value: "placed"}}, newest},
		{"Newest50", bson.D{}, newest},
		{"In100IDs", bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, options.Find()},
	} {
		b.Run(q.name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n += find(b, c, q.filter, q.opts)
			}
			perSecond(b, n)
		})
	}
}

func find(b *testing.B, c *mongo.Collection, filter bson.D, opts *options.FindOptionsBuilder) int {
	b.Helper()
	cur, err := c.Find(b.Context(), filter, opts)
	if err != nil {
		b.Fatal(err)
	}
	var docs []bson.Raw
	if err := cur.All(b.Context(), &docs); err != nil {
		b.Fatal(err)
	}
	if len(docs) == 0 {
		b.Fatal("found no documents")
	}
	return len(docs)
}

// BenchmarkWriters has several clients write to one database at once, each to its own documents. Eight clients with commands of
// 20 are left out: they can need more than FerretDB's hundred connections and deadlock.
func BenchmarkWriters(b *testing.B) {
	for _, load := range []struct{ writers, size int }{{8, 1}, {8, 5}, {8, 10}, {4, 20}} {
		b.Run(fmt.Sprintf("%dxBulk%d", load.writers, load.size), func(b *testing.B) {
			c := filled(b, load.writers*docsPerWriter)
			n := 0
			for b.Loop() {
				if err := bulkTogether(b.Context(), c, load.writers, load.size, n); err != nil {
					b.Fatal(err)
				}
				n += load.size
			}
			perSecond(b, n*load.writers)
		})
	}
}

// docsPerWriter is the number of documents of each writer.
const docsPerWriter = 1_000

// bulkTogether sends one command of size replacements from every writer at the same time.
func bulkTogether(ctx context.Context, c *mongo.Collection, writers, size, from int) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return inParallel(writers, func(w int) error {
		return bulkReplace(ctx, c, w*docsPerWriter+from%(docsPerWriter-size), size)
	})
}

func inParallel(n int, do func(int) error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}
