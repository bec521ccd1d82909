package view_test

import (
	"os"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events/view"
	"tillstream/events/view/viewtest"
)

func TestIndexesAreCreatedOnceAndRefuseDuplicates(t *testing.T) {
	t.Parallel()
	db := viewtest.Database(t)
	collection := db.Collection("indexed")
	indexes := []view.Index{{Keys: []string{"doc.status", "-doc.placed_at"}}, {Keys: []string{"doc.number"}, Unique: true}}
	for range 2 { // as after a restart
		if err := view.CreateIndexes(t.Context(), collection, indexes); err != nil {
			t.Fatal(err)
		}
	}
	insert := func(id, number string) error {
		_, err := collection.InsertOne(t.Context(), view.Document{ID: id, Doc: map[string]string{"number": number, "status": "placed"}})
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
	got, err := view.Useful(t.Context(), viewtest.Database(t), []view.Index{{Keys: []string{"doc.status"}}, {Keys: []string{"doc.number"}, Unique: true}})
	if err != nil || len(got) != 1 || !got[0].Unique {
		t.Errorf("kept %v, %v; want the unique one", got, err)
	}
}
