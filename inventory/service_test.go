package inventory_test

import (
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/inventory"
)

func TestSeedListsNewItemsOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	ten := int64(10)
	listings := []inventory.Listing{{SKU: "A", Title: "A", Price: events.Money{Amount: 1, Currency: "GBP"}, OnHand: &ten}}
	s.stock(t, "B", 3)
	listings = append(listings, inventory.Listing{SKU: "B", Title: "Another B", Price: events.Money{Amount: 1, Currency: "GBP"}, OnHand: &ten})
	for _, want := range []int{1, 0} {
		if added, err := s.service.Seed(t.Context(), listings); err != nil || added != want {
			t.Fatalf("Seed: got %d, %v; want %d", added, err, want)
		}
	}
	if a, b := s.level(t, "A"), s.level(t, "B"); a.OnHand != 10 || b.OnHand != 3 {
		t.Fatalf("got A %+v, B %+v; want 10 and 3 on hand", a, b)
	}
	listings[0].SKU, listings[0].Title = "C", ""
	if added, err := s.service.Seed(t.Context(), listings); err == nil {
		t.Fatalf("Seed of an invalid listing: got %d and no error, want an error", added)
	}
}

func TestNewNamesTheMissingField(t *testing.T) {
	for field, config := range map[string]inventory.Config{"Config.Log": {Access: staffAccess{}}, "Config.Access": {Log: open(t).log}} {
		if _, err := inventory.New(config); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v, want an error that names the field", field, err)
		}
	}
}
