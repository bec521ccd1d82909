package inventory_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"tillstream/events"
	"tillstream/events/embedded"
	"tillstream/events/view"
	"tillstream/inventory"
)

// database is one of this test's own: on the server that TEST_MONGODB_URI names, else on an embedded one.
func database(t *testing.T) *mongo.Database {
	t.Helper()
	uri := os.Getenv("TEST_MONGODB_URI")
	if uri == "" {
		server, err := embedded.StartMongo(embedded.MongoConfig{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Stop)
		uri = server.URI()
	}
	db, err := view.Connect(t.Context(), uri)
	if err != nil {
		t.Fatal(err)
	}
	db = db.Client().Database("inventory_" + strings.ToLower(t.Name()))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := errors.Join(db.Drop(ctx), db.Client().Disconnect(ctx)); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestViewRemembersItemsStockAndReservations(t *testing.T) {
	t.Parallel()
	s := open(t)
	db := database(t)
	s.stock(t, "A", 5)
	s.decides(t)
	s.say(t, "o1", events.OrderPlaced{OrderID: "o1", Lines: lines(2, "A")})
	s.say(t, "o2", events.OrderPlaced{OrderID: "o2", Lines: lines(9, "A")})
	s.becomes(t, "o2", inventory.StateRefused)
	for _, v := range s.service.Views() {
		s.run(t, view.New(s.log, v, view.Config{DB: db}).Run)
	}
	said := s.messages(t)
	s.wait(t, "the archive has every event", func() bool {
		head, err := view.ReadArchiveHead(t.Context(), db.Collection(inventory.CollectionArchive), events.StreamInventory)
		return err == nil && head.Last == said
	})
	var item struct{ Doc inventory.ItemDocument }
	var stock struct{ Doc inventory.StockDocument }
	var short struct{ Doc inventory.ReservationDocument }
	s.wait(t, "all is in the view", func() bool {
		return db.Collection(inventory.CollectionItems).FindOne(t.Context(), bson.D{{Key: "_id", Value: "A"}}).Decode(&item) == nil &&
			db.Collection(inventory.CollectionStock).FindOne(t.Context(), bson.D{{Key: "doc.available", Value: 3}}).Decode(&stock) == nil &&
			db.Collection(inventory.CollectionReservations).FindOne(t.Context(), bson.D{{Key: "doc.state", Value: "refused"}}).Decode(&short) == nil
	})
	if item.Doc.Title != "Item A" || item.Doc.Price.Amount != 100 || item.Doc.Image != "/images/items/A.svg" {
		t.Errorf("item: %+v", item.Doc)
	}
	if diff := cmp.Diff(inventory.StockDocument{SKU: "A", OnHand: 5, Available: 3, Held: 2}, stock.Doc); diff != "" {
		t.Error(diff)
	}
	if short.Doc.OrderID != "o2" || len(short.Doc.Short) != 1 || short.Doc.Short[0].Requested != 9 {
		t.Errorf("reservation: %+v", short.Doc)
	}
}
