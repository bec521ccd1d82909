package inventory_test

import (
	"errors"
	"testing"

	"tillstream/events"
	"tillstream/inventory"
)

// A title with a character that cannot be seen, or that changes the writing direction, is refused. The joiners of emoji and of
// Persian are not.
func TestListingRefusesInvisibleCharacters(t *testing.T) {
	t.Parallel()
	for title, valid := range map[string]bool{
		"Mug": true, "Mug \u202egum": false, "M\u200bug": false, "\u3164": false, "Mug\x1b[2J": false, "  ": false, "Scientist 👩\u200d🔬 mug": true,
	} {
		listing := inventory.Listing{SKU: "MUG", Title: title, Description: "Blue.\nHolds 300 ml.", Price: events.Money{Amount: 1250, Currency: "GBP"}}
		err := listing.Check(events.ChargeLimits{})
		var invalid *events.InvalidError
		if valid != (err == nil) || err != nil && (!errors.As(err, &invalid) || invalid.Faults[0].Field != "title") {
			t.Errorf("title %q: got %v, want valid %t", title, err, valid)
		}
	}
}
