package inventory_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"tillstream/events"
	"tillstream/events/view"
	"tillstream/events/view/viewtest"
	"tillstream/inventory"
)

func TestViewRemembersItemsStockAndReservations(t *testing.T) {
	t.Parallel()
	s := open(t)
	db := viewtest.Database(t)
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
