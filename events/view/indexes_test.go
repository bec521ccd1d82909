package view

import (
	"os"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/embedded"
)

func testDatabase(t *testing.T) *mongo.Database {
	t.Helper()
	uri := os.Getenv("TEST_MONGODB_URI")
	if uri == "" {
		server, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		uri = server.URI()
	}
	db, err := Connect(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Client().Disconnect(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return db
}

func TestIndexesAreCreatedOnceAndRefuseDuplicates(t *testing.T) {
	t.Parallel()
	db := testDatabase(t)
	collection := db.Collection("indexed")
	if err := collection.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	indexes := []Index{{Keys: []string{"doc.status", "-doc.placed_at"}}, {Keys: []string{"doc.number"}, Unique: true}}
	for range 2 { // as after a restart
		if err := createIndexes(t.Context(), collection, indexes); err != nil {
			t.Fatal(err)
		}
	}
	insert := func(id, number string) error {
		_, err := collection.InsertOne(t.Context(), Document{ID: id, Doc: map[string]string{"number": number, "status": "placed"}})
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
	got, err := useful(t.Context(), testDatabase(t), []Index{{Keys: []string{"doc.status"}}, {Keys: []string{"doc.number"}, Unique: true}})
	if err != nil || len(got) != 1 || !got[0].Unique {
		t.Errorf("kept %v, %v; want the unique one", got, err)
	}
}
