package project_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/archive"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
	"tillstream/events/worker"
)

func TestEnsureIndexesIsIdempotentAndRefusesDuplicates(t *testing.T) {
	t.Parallel()
	db := projecttest.Database(t)
	collection := db.Collection("indexed")
	indexed := project.Collection{Name: "indexed", Indexes: []project.Index{{Keys: []string{"doc.status", "-doc.placed_at"}},
		{Keys: []string{"doc.number"}, Unique: true}}}
	for range 2 { // as after a restart
		if err := project.EnsureIndexes(t.Context(), db, indexed); err != nil {
			t.Fatal(err)
		}
	}
	insert := func(id, number string) error {
		_, err := collection.InsertOne(t.Context(), project.Document{ID: id, Doc: map[string]string{"number": number, "status": "placed"}})
		return err
	}
	if err := insert("a", "1"); err != nil {
		t.Fatal(err)
	}
	if err := insert("b", "1"); !mongo.IsDuplicateKeyError(err) {
		t.Errorf("insert of a duplicate: got %v, want a duplicate key error", err)
	}
}

func TestFerretDBGetsOnlyUniqueIndexes(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_MONGODB_URI") != "" {
		t.Skip("needs FerretDB: only with the embedded one")
	}
	got, err := project.UsedIndexes(t.Context(), projecttest.Database(t), []project.Index{{Keys: []string{"doc.status"}}, {Keys: []string{"doc.number"}, Unique: true}})
	if err != nil || len(got) != 1 || !got[0].Unique {
		t.Errorf("used indexes: got %v, %v; want the unique one", got, err)
	}
}

// Row 26 of the fault matrix: a collection, or the whole database, is dropped while the projection runs. Later writes are indexed
// and archived again without a restart.
func TestIndexesReturnAfterDrop(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(ctx context.Context, db *mongo.Database) error{
		"Collection": func(ctx context.Context, db *mongo.Database) error { return db.Collection("numbered").Drop(ctx) },
		"Database":   func(ctx context.Context, db *mongo.Database) error { return db.Drop(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, db *mongo.Database) {
				l := logtest.Open(t)
				config := project.Config{DB: db, Window: window}.IndexesEvery(time.Millisecond)
				shop := startLanes(t, l, []worker.Batch{numberedProjection().Batch(l, config), archive.Batch(l, archive.Config{DB: db, Window: window})})
				adjust(t, l, "A", 1)
				adjust(t, l, "B", 1)
				shop.await(t)
				if !hasIndex(t, db.Collection("numbered"), "doc_number") {
					t.Fatal("index doc_number does not exist after the start")
				}
				if err := drop(t.Context(), db); err != nil {
					t.Fatal(err)
				}
				adjust(t, l, "A", 1) // a document that the projection has written before
				adjust(t, l, "C", 1)
				shop.await(t)
				projecttest.Await(t, "index doc_number exists again", func() bool { return hasIndex(t, db.Collection("numbered"), "doc_number") })
				if got := all[bson.D](t, db, "numbered"); len(got) != 2 {
					t.Errorf("stored documents: got %v, want A and C", got)
				}
				projecttest.CheckArchive(t, l, db)
			})
		})
	}
}

func hasIndex(t testing.TB, c *mongo.Collection, name string) bool {
	t.Helper()
	indexes, err := c.Indexes().ListSpecifications(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(indexes, func(i mongo.IndexSpecification) bool { return i.Name == name })
}

func TestPaceRestsAfterSlowQuery(t *testing.T) {
	t.Parallel()
	unavailable := errors.New("the database is unavailable")
	for name, c := range map[string]struct {
		took time.Duration
		err  error
		rest time.Duration
	}{
		"Immediate":    {0, nil, 0},
		"Indexed":      {2 * time.Millisecond, nil, 0},
		"BusyMachine":  {100 * time.Millisecond, nil, 0},
		"FullScan":     {4100 * time.Millisecond, nil, 200 * time.Second},
		"LongFullScan": {time.Minute, nil, 15 * time.Minute},
		"FailsSlowly":  {5 * time.Second, unavailable, 0},
		"SlightlySlow": {102 * time.Millisecond, nil, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, queries := time.Unix(1_700_000_000, 0), 0
			p := project.Pace{Now: func() time.Time { return now }}
			query := func() error { queries++; now = now.Add(c.took); return c.err }
			if err := p.Ask(query); !errors.Is(err, c.err) || queries != 1 {
				t.Fatalf("first call: got %d queries and %v, want 1 and %v", queries, err, c.err)
			}
			if c.rest > 0 {
				now = now.Add(c.rest - 1)
				if err := p.Ask(query); err != nil || queries != 1 {
					t.Errorf("call during the rest: got %d queries and %v, want 1", queries, err)
				}
				now = now.Add(1)
			}
			if err := p.Ask(query); !errors.Is(err, c.err) || queries != 2 {
				t.Errorf("call after the rest: got %d queries and %v, want 2 and %v", queries, err, c.err)
			}
		})
	}
}
