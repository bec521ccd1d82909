package inventory

import (
	"tillstream/events"
	"tillstream/events/view"
)

// Collections of the view.
const (
	CollectionItems        = "inventory_items"
	CollectionStock        = "inventory_stock"
	CollectionReservations = "inventory_reservations"
	CollectionArchive      = "inventory_archive"
)

// ItemDocument is an item as stored in MongoDB.
type ItemDocument struct {
	SKU         string       `json:"sku"`
	Title       string       `json:"title"`
	Description string       `json:"description"`
	Price       events.Money `json:"price"`
	Image       string       `json:"image"`
	Tags        []string     `json:"tags"`
}

// StockDocument is a SKU's level as stored in MongoDB.
type StockDocument struct {
	SKU       string `json:"sku"`
	OnHand    int64  `json:"on_hand"`
	Available int64  `json:"available"`
	Held      int64  `json:"held"`
}

// ReservationDocument is a reservation as stored in MongoDB.
type ReservationDocument struct {
	OrderID string                `json:"order_id"`
	State   State                 `json:"state"`
	Late    bool                  `json:"late"`
	Lines   []events.ReservedLine `json:"lines"`
	Short   []events.Shortage     `json:"short"`
}

// Views is what the worker remembers, for those who check it.
func Views() []view.View { return []view.View{inventoryView()} }

// inventoryView answers the questions of staff: what is nearly gone, what is held and for whom, who waits for this SKU.
func inventoryView() view.View {
	return view.View{
		Name: "inventory-view", Stream: events.StreamInventory, Archive: CollectionArchive,
		Collections: []view.Collection{
			view.Of(CollectionItems, Items, func(_ string, i Item) any { return ItemDocument(i) },
				view.Index{Keys: []string{"doc.title"}}),
			view.Of(CollectionStock, Stocks, stockDocument,
				view.Index{Keys: []string{"doc.available"}}),
			view.Of(CollectionReservations, Reservations, reservationDocument,
				view.Index{Keys: []string{"doc.state"}}),
		},
	}
}

func stockDocument(_ string, s Stock) any {
	return StockDocument{SKU: s.SKU, OnHand: s.Level.OnHand, Available: s.Level.Available, Held: s.Level.Held}
}

func reservationDocument(_ string, r Reservation) any {
	return ReservationDocument{OrderID: r.OrderID, State: r.State, Late: r.Late, Lines: r.Lines, Short: r.Short}
}
