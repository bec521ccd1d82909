package inventory

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"tillstream/events"
	"tillstream/events/text"
)

// Limits of a listing. MaxPrice is the largest amount that Stripe charges at once in most currencies (docs.stripe.com/currencies, 8
// digits); [events.ChargeLimits] has those of all.
const (
	MaxPrice       = 99_999_999
	maxTitle       = 200
	maxDescription = 5000
	maxImage       = 800 // the default of a SKU of 64 four-byte characters has 786
	maxTags        = 20
	maxTag         = 50
	maxReason      = 200
)

// Listing is an item as staff list it. OnHand sets its stock too.
type Listing struct {
	SKU         string       `json:"sku" doc:"1 to 64 printable characters"`
	Title       string       `json:"title" doc:"1 to 200 characters"`
	Description string       `json:"description,omitempty" doc:"At most 5,000 characters"`
	Price       events.Money `json:"price" doc:"In minor units, tax included"`
	Image       string       `json:"image,omitempty" doc:"A path on this site or an https address; default /images/items/<sku>.svg"`
	Tags        []string     `json:"tags,omitempty" doc:"At most 20 of 1 to 50 characters"`
	OnHand      *int64       `json:"on_hand,omitempty" doc:"Units on hand; without it the stock is unchanged"`
	Reason      string       `json:"reason,omitempty" doc:"Reason for setting the stock; default counted"`
}

// currencyPattern matches an ISO 4217 code.
var currencyPattern = regexp.MustCompile(`^[A-Z]{3}$`)

// Check returns an [*events.InvalidError] that names every field that cannot be accepted, or nil. The charge limits decide which
// prices can be paid.
func (l Listing) Check(charges events.ChargeLimits) error {
	var v validator
	v.require(events.CheckSKU(l.SKU) == nil, "sku", "want 1 to 64 printable characters, without a space at either end")
	v.requireText("title", l.Title, 1, maxTitle, text.Clean)
	v.requireText("description", l.Description, 0, maxDescription, text.CleanLines)
	limit := charges.For(l.Price.Currency)
	step := limit.Step
	v.require(l.Price.Amount > 0 && l.Price.Amount <= limit.Max, "price.amount", fmt.Sprintf("want 1 to %d minor units", limit.Max))
	v.require(l.Price.Amount%step == 0, "price.amount", fmt.Sprintf("want a multiple of %d minor units, the smallest step that Stripe charges in %.3q", step, l.Price.Currency))
	v.require(currencyPattern.MatchString(l.Price.Currency), "price.currency", "want an ISO 4217 code such as GBP")
	v.requireText("image", l.Image, 0, maxImage, text.Clean)
	v.require(isImage(l.Image), "image", "want a path that begins with / or an address that begins with https://")
	v.require(len(l.Tags) <= maxTags, "tags", fmt.Sprintf("want at most %d", maxTags))
	for i, tag := range l.Tags {
		v.requireText(fmt.Sprintf("tags[%d]", i), tag, 1, maxTag, text.Clean)
	}
	if l.OnHand != nil {
		v.require(*l.OnHand >= 0 && *l.OnHand <= MaxQuantity, "on_hand", fmt.Sprintf("want 0 to %d", MaxQuantity))
	}
	v.requireText("reason", l.Reason, 0, maxReason, text.Clean)
	return v.err()
}

// item returns the item of the listing, with defaults.
func (l Listing) item() Item {
	item := Item{SKU: l.SKU, Title: cleaned(l.Title, text.Clean), Description: cleaned(l.Description, text.CleanLines), Price: l.Price,
		Image: l.Image, Tags: slices.Clone(l.Tags)}
	for i, tag := range item.Tags {
		item.Tags[i] = cleaned(tag, text.Clean)
	}
	if item.Image == "" {
		item.Image = "/images/items/" + url.PathEscape(l.SKU) + ".svg"
	}
	return item
}

// count sets the stock to OnHand. It returns no events when OnHand is nil.
func (l Listing) count(level events.StockLevel) ([]events.Payload, error) {
	if l.OnHand == nil {
		return nil, nil
	}
	return SetCount(l.SKU, level, *l.OnHand, cmp.Or(cleaned(l.Reason, text.Clean), "counted"))
}

// isImage accepts a path on this site and an https address. Anything else could run a script or load over plain HTTP.
func isImage(image string) bool {
	return image == "" || strings.HasPrefix(image, "https://") || (strings.HasPrefix(image, "/") && !strings.HasPrefix(image, "//"))
}

// validator collects the faults of a request.
type validator struct{ faults []events.Fault }

func (v *validator) require(ok bool, field, message string) {
	if !ok {
		v.faults = append(v.faults, events.Fault{Field: field, Message: message})
	}
}

// requireText checks text as it is stored: its length in characters, and that it has no invisible ones.
func (v *validator) requireText(field, s string, shortest, longest int, clean func(string) (string, error)) {
	cleaned, err := clean(s)
	if err != nil {
		v.require(false, field, err.Error())
		return
	}
	length := utf8.RuneCountInString(cleaned)
	v.require(length >= shortest && length <= longest, field, fmt.Sprintf("want %d to %d characters", shortest, longest))
}

// cleaned returns text that was checked in the form in which it is stored.
func cleaned(s string, clean func(string) (string, error)) string {
	if c, err := clean(s); err == nil {
		return c
	}
	return s
}

func (v *validator) err() error {
	if len(v.faults) == 0 {
		return nil
	}
	return &events.InvalidError{Faults: v.faults}
}
