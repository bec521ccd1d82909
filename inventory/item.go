package inventory

import (
	"fmt"
	"slices"

	"tillstream/events"
)

// Item describes a SKU to shoppers. Its fields are those of [events.ItemChanged], which carries the whole item.
type Item struct {
	SKU         string
	Title       string
	Description string
	Price       events.Money
	Image       string
	Tags        []string
}

// Exists reports whether the item was ever listed.
func (i Item) Exists() bool { return i.SKU != "" }

// Equal reports whether two items have the same fields.
func (i Item) Equal(o Item) bool {
	return i.SKU == o.SKU && i.Title == o.Title && i.Description == o.Description && i.Price == o.Price &&
		i.Image == o.Image && slices.Equal(i.Tags, o.Tags)
}

// ApplyItem applies one event to an item. Every event carries the whole item, so the newest one is enough.
func ApplyItem(_ Item, e events.Event) (Item, error) {
	p, ok := e.Payload.(events.ItemChanged)
	if !ok {
		return Item{}, fmt.Errorf("%w: %s on an item", ErrCannotFollow, e.Type)
	}
	if !subjectMatches(e, events.PrefixItem, p.SKU) {
		return Item{}, fmt.Errorf("%w: item %q on subject %s", ErrCannotFollow, p.SKU, e.Subject)
	}
	return Item(p), nil
}

// subjectMatches reports whether an event is stored on the subject of the entity that its payload names by id.
func subjectMatches(e events.Event, prefix, id string) bool {
	subjectID, ok := events.ParseSubject(prefix, e.Subject)
	return ok && subjectID == id
}
