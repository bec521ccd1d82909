package embedded

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// A process that is killed while FerretDB creates a collection leaves a table without an entry in the list of collections, or
// without its index. The start drops both, and the collections then refuse a second document of one _id.
func TestMongoDropsIncompleteCollectionsAtStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	collections := []string{"unlisted", "unindexed", "complete"}
	first := startMongo(t, MongoConfig{Dir: dir})
	shop := connect(t, first).Database("shop")
	for _, name := range collections {
		if err := shop.CreateCollection(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := shop.Collection("complete").InsertOne(t.Context(), orderDoc(1, 1)); err != nil {
		t.Fatal(err)
	}
	if err := first.IndexIDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	undoCreation(t, filepath.Join(dir, "shop.sqlite"))

	shop = connect(t, startMongo(t, MongoConfig{Dir: dir})).Database("shop")
	for _, name := range collections {
		_, err := shop.Collection(name).InsertOne(t.Context(), orderDoc(1, 1))
		if name != "complete" && err != nil {
			t.Errorf("first insert into %s: got %v, want no error", name, err)
		}
		if _, err := shop.Collection(name).InsertOne(t.Context(), orderDoc(1, 1)); !mongo.IsDuplicateKeyError(err) {
			t.Errorf("second insert into %s: got %v, want a duplicate key error", name, err)
		}
	}
}

// undoCreation undoes the last steps of the creation of two collections.
func undoCreation(t *testing.T, file string) {
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
	indexes, err := queryNames(t.Context(), db, `SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name LIKE 'unindexed%'`)
	if err != nil || len(indexes) != 1 {
		t.Fatalf("indexes of unindexed: got %s, %v; want one", strings.Join(indexes, ", "), err)
	}
	for _, undo := range []string{fmt.Sprintf("DROP INDEX %q", indexes[0]), `UPDATE _ferretdb_collections SET settings = '{}' WHERE name = 'unindexed'`} {
		if _, err := db.Exec(undo); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMongoRemovesADatabaseFileWithoutTablesAtStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startMongo(t, MongoConfig{Dir: dir})
	if _, err := connect(t, first).Database("shop").Collection("orders").InsertOne(t.Context(), orderDoc(1, 1)); err != nil {
		t.Fatal(err)
	}
	if err := first.Sync(); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	if err := os.WriteFile(filepath.Join(dir, "empty.sqlite"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second := startMongo(t, MongoConfig{Dir: dir})
	if _, err := os.Stat(filepath.Join(dir, "empty.sqlite")); !os.IsNotExist(err) {
		t.Errorf("file without tables: got %v, want it removed", err)
	}
	n, err := connect(t, second).Database("shop").Collection("orders").CountDocuments(t.Context(), bson.D{})
	if err != nil || n != 1 {
		t.Errorf("documents in the other database: got %d, %v; want 1", n, err)
	}
}
