package embedded

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
)

// A process that was killed while FerretDB made a collection leaves a table that stands in no list, or one without its
// index. Both are made anew, and refuse a second document of one _id.
func TestMongoMakesHalfMadeCollectionsAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := []string{"unlisted", "unindexed", "whole"}
	first := startMongo(t, MongoConfig{Dir: dir})
	shop := connect(t, first).Database("shop")
	for _, name := range names {
		if err := shop.CreateCollection(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := shop.Collection("whole").InsertOne(t.Context(), viewDoc(1, 1)); err != nil {
		t.Fatal(err)
	}
	if err := first.IndexIDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	halve(t, filepath.Join(dir, "shop.sqlite"))

	shop = connect(t, startMongo(t, MongoConfig{Dir: dir})).Database("shop")
	for _, name := range names {
		_, err := shop.Collection(name).InsertOne(t.Context(), viewDoc(1, 1))
		if name != "whole" && err != nil {
			t.Errorf("first document into %s: %v", name, err)
		}
		if _, err := shop.Collection(name).InsertOne(t.Context(), viewDoc(1, 1)); !mongo.IsDuplicateKeyError(err) {
			t.Errorf("the same document into %s again: %v, want it refused", name, err)
		}
	}
}

// halve undoes the last steps of making two collections.
func halve(t *testing.T, file string) {
	t.Helper()
	dsn, err := existingURL(file)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`DELETE FROM _ferretdb_collections WHERE name = 'unlisted'`); err != nil {
		t.Fatal(err)
	}
	indexes, err := names(t.Context(), db, `SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name LIKE 'unindexed%'`)
	if err != nil || len(indexes) != 1 {
		t.Fatalf("indexes %s: %v", strings.Join(indexes, ", "), err)
	}
	for _, undo := range []string{fmt.Sprintf("DROP INDEX %q", indexes[0]), `UPDATE _ferretdb_collections SET settings = '{}' WHERE name = 'unindexed'`} {
		if _, err := db.Exec(undo); err != nil {
			t.Fatal(err)
		}
	}
}
