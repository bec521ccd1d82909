package embedded

import (
	"os"
	"path/filepath"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestMongoStartsOverADatabaseThatWasNeverFinished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startMongo(t, MongoConfig{Dir: dir})
	if _, err := connect(t, first).Database("shop").Collection("orders").InsertOne(t.Context(), viewDoc(1, 1)); err != nil {
		t.Fatal(err)
	}
	if err := first.Sync(); err != nil {
		t.Fatal(err)
	}
	first.Stop()
	if err := os.WriteFile(filepath.Join(dir, "unborn.sqlite"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second := startMongo(t, MongoConfig{Dir: dir})
	n, err := connect(t, second).Database("shop").Collection("orders").CountDocuments(t.Context(), bson.D{})
	if err != nil || n != 1 {
		t.Errorf("%d documents in the database that was finished, %v", n, err)
	}
}
