package project_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/archive"
	"tillstream/events/log/logtest"
	"tillstream/events/project"
	"tillstream/events/project/projecttest"
)

func TestIndexesAreCreatedOnceAndRefuseDuplicates(t *testing.T) {
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
		t.Errorf("the same number twice: %v, want a duplicate key error", err)
	}
}

func TestFerretDBIsSparedIndexesItDoesNotUse(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_MONGODB_URI") != "" {
		t.Skip("asks FerretDB what it is: only with the embedded one")
	}
	got, err := project.Useful(t.Context(), projecttest.Database(t), []project.Index{{Keys: []string{"doc.status"}}, {Keys: []string{"doc.number"}, Unique: true}})
	if err != nil || len(got) != 1 || !got[0].Unique {
		t.Errorf("kept %v, %v; want the unique one", got, err)
	}
}

// Row 26 of the fault matrix: a collection, or the whole database, is dropped while the projection runs. What is written
// afterwards is indexed again, and archived, without a restart.
func TestIndexesComeBackWhileTheProjectionRuns(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(ctx context.Context, db *mongo.Database) error{
		"Collection": func(ctx context.Context, db *mongo.Database) error { return db.Collection("numbered").Drop(ctx) },
		"Database":   func(ctx context.Context, db *mongo.Database) error { return db.Drop(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databases(t, func(t *testing.T, db *mongo.Database) {
				l := logtest.Open(t)
				config := project.Config{DB: db, Window: window}.IndexesEvery(time.Millisecond)
				shop := run(t, l, batches(numbered().Batch(l, config), archive.Batch(l, archive.Config{DB: db, Window: window})))
				move(t, l, "A", 1)
				move(t, l, "B", 1)
				shop.await(t)
				if !hasIndex(t, db.Collection("numbered"), "doc_number") {
					t.Fatal("no index after the start")
				}
				if err := drop(t.Context(), db); err != nil {
					t.Fatal(err)
				}
				move(t, l, "A", 1) // a document that the projection has written before
				move(t, l, "C", 1)
				shop.await(t)
				await(t, "the index is back", func() bool { return hasIndex(t, db.Collection("numbered"), "doc_number") })
				if got := all[struct {
					ID string `bson:"_id"`
				}](t, db, "numbered"); len(got) != 2 {
					t.Errorf("stored %v, want A and C", got)
				}
				archiveIsTheLog(t, l, db)
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
