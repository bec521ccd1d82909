package inventory

import (
	"fmt"
	"slices"

	"tillstream/events"
)

// Item is what a SKU is: what the shopper reads and pays. Its fields are those of [events.ItemChanged], which carries
// it whole.
type Item struct {
	SKU         string
	Title       string
	Description string
	Price       events.Money
	Image       string
	Tags        []string
}

// Exists reports whether the item was ever described.
func (i Item) Exists() bool { return i.SKU != "" }

// Equal reports whether two items say the same.
func (i Item) Equal(o Item) bool {
	return i.SKU == o.SKU && i.Title == o.Title && i.Description == o.Description && i.Price == o.Price &&
		i.Image == o.Image && slices.Equal(i.Tags, o.Tags)
}

// ApplyItem applies one event to an item. Every event carries the whole of it, so the newest is enough.
func ApplyItem(_ Item, e events.Event) (Item, error) {
	p, ok := e.Payload.(events.ItemChanged)
	if !ok {
		return Item{}, fmt.Errorf("%w: %s on an item", ErrCannotFollow, e.Type)
	}
	if !isAbout(e, events.PrefixItem, p.SKU) {
		return Item{}, fmt.Errorf("%w: item %q on subject %s", ErrCannotFollow, p.SKU, e.Subject)
	}
	return Item(p), nil
}

// isAbout reports whether an event stands on the subject of the entity that its payload names.
func isAbout(e events.Event, prefix, id string) bool {
	named, ok := events.ParseSubject(prefix, e.Subject)
	return ok && named == id
}
