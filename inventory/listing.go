package inventory

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"tillstream/events"
)

// Limits of a listing. MaxPrice is the largest amount that Stripe charges at once (docs.stripe.com/currencies, 8 digits).
const (
	MaxPrice       = 99_999_999
	maxTitle       = 200
	maxDescription = 5000
	maxImage       = 800 // the default of a SKU of 64 four-byte characters has 786
	maxTags        = 20
	maxTag         = 50
	maxReason      = 200
)

// Listing is what staff want an item to be. With OnHand it also says how many were counted.
type Listing struct {
	SKU         string       `json:"sku" doc:"1 to 64 printable characters"`
	Title       string       `json:"title" doc:"1 to 200 characters"`
	Description string       `json:"description,omitempty" doc:"At most 5,000 characters"`
	Price       events.Money `json:"price" doc:"In minor units, tax included"`
	Image       string       `json:"image,omitempty" doc:"A path on this site or an https address; default /images/items/<sku>.svg"`
	Tags        []string     `json:"tags,omitempty" doc:"At most 20 of 1 to 50 characters"`
	OnHand      *int64       `json:"on_hand,omitempty" doc:"How many were counted; left out: the stock stays as it is"`
	Reason      string       `json:"reason,omitempty" doc:"Why the stock is set; default counted"`
}

// currencyPattern is the shape of an ISO 4217 code.
var currencyPattern = regexp.MustCompile(`^[A-Z]{3}$`)

// Check returns an [InvalidError] that names every field that cannot be accepted, or nil. Charges say which prices can be paid.
func (l Listing) Check(charges events.ChargeLimits) error {
	var c check
	c.that(events.CheckSKU(l.SKU) == nil, "sku", "want 1 to 64 printable characters, without a space at either end")
	c.text("title", l.Title, 1, maxTitle, "")
	c.text("description", l.Description, 0, maxDescription, "\n\t")
	c.that(l.Price.Amount > 0 && l.Price.Amount <= MaxPrice, "price.amount", fmt.Sprintf("want 1 to %d minor units", MaxPrice))
	step := charges.For(l.Price.Currency).Step
	c.that(l.Price.Amount%step == 0, "price.amount", fmt.Sprintf("want a multiple of %d minor units: Stripe charges nothing finer in %.3q", step, l.Price.Currency))
	c.that(currencyPattern.MatchString(l.Price.Currency), "price.currency", "want an ISO 4217 code such as GBP")
	c.text("image", l.Image, 0, maxImage, "")
	c.that(isPicture(l.Image), "image", "want a path that begins with / or an address that begins with https://")
	c.that(len(l.Tags) <= maxTags, "tags", fmt.Sprintf("want at most %d", maxTags))
	for i, tag := range l.Tags {
		c.text(fmt.Sprintf("tags[%d]", i), tag, 1, maxTag, "")
	}
	if l.OnHand != nil {
		c.that(*l.OnHand >= 0 && *l.OnHand <= MaxQuantity, "on_hand", fmt.Sprintf("want 0 to %d", MaxQuantity))
	}
	c.text("reason", l.Reason, 0, maxReason, "")
	return c.err()
}

// item is the listing as an item, with defaults filled in.
func (l Listing) item() Item {
	item := Item{SKU: l.SKU, Title: l.Title, Description: l.Description, Price: l.Price, Image: l.Image, Tags: l.Tags}
	if item.Image == "" {
		item.Image = "/images/items/" + url.PathEscape(l.SKU) + ".svg"
	}
	return item
}

// count sets the stock to what the listing says was counted; nothing when it says nothing.
func (l Listing) count(level events.StockLevel) ([]events.Payload, error) {
	if l.OnHand == nil {
		return nil, nil
	}
	return SetCount(l.SKU, level, *l.OnHand, cmp.Or(l.Reason, "counted"))
}

// isPicture keeps scripts and other people's plain-text servers out of the shop window.
func isPicture(image string) bool {
	return image == "" || strings.HasPrefix(image, "https://") || (strings.HasPrefix(image, "/") && !strings.HasPrefix(image, "//"))
}

// check gathers what is wrong.
type check struct{ fields []FieldError }

func (c *check) that(ok bool, field, message string) {
	if !ok {
		c.fields = append(c.fields, FieldError{Field: field, Message: message})
	}
}

// text checks the length in characters and that nothing unprintable is in it but what is allowed.
func (c *check) text(field, s string, shortest, longest int, allowed string) {
	length := utf8.RuneCountInString(s)
	c.that(length >= shortest && length <= longest, field, fmt.Sprintf("want %d to %d characters", shortest, longest))
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) && !strings.ContainsRune(allowed, r) }
	c.that(utf8.ValidString(s) && !strings.ContainsFunc(s, unprintable), field, "has characters that cannot be printed")
	c.that(shortest == 0 || s == "" || strings.TrimSpace(s) != "", field, "is blank")
}

func (c *check) err() error {
	if len(c.fields) == 0 {
		return nil
	}
	return &InvalidError{Fields: c.fields}
}
