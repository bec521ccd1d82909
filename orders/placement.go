package orders

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"golang.org/x/text/language"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/events/text"
)

// Bounds of the quantity of one SKU in one order, whoever places it.
const (
	MinQuantity = 1
	MaxQuantity = 1_000_000
)

// maxLocale is the longest language tag that is accepted: RFC 5646 §4.4.1 requires room for 35 characters.
const maxLocale = 35

// Placement is an order as the shopper sent it, without prices.
type Placement struct {
	Customer events.Customer       `json:"customer"`
	ShipTo   events.Address        `json:"ship_to"`
	Lines    []events.ReservedLine `json:"lines"` // one per SKU after Normalize
}

// Normalize cleans every text, checks it, and adds up the lines of one SKU, of which there may be maxUnits. It returns an
// [*events.InvalidError] with every fault.
func (p Placement) Normalize(maxLines int, maxUnits int64) (Placement, error) {
	var faults []events.Fault
	fault := func(field string, value any, format string, args ...any) {
		faults = append(faults, events.Fault{Field: field, Message: fmt.Sprintf(format, args...), Value: value})
	}
	p.Customer.Email = strings.ToLower(strings.TrimSpace(p.Customer.Email))
	if !validEmail(p.Customer.Email) {
		fault("email", p.Customer.Email, "is not an e-mail address, such as name@example.com")
	}
	p.Customer.Locale = cmp.Or(p.Customer.Locale, "en")
	if _, err := language.Parse(p.Customer.Locale); err != nil || len(p.Customer.Locale) > maxLocale {
		fault("locale", p.Customer.Locale, "is not a language tag such as en or de-AT")
	}
	for _, f := range p.texts() {
		if message := f.clean(); message != "" {
			fault(f.name, *f.value, "%s", message)
		}
	}
	if text.LooksLikeLink(p.Customer.Name) {
		fault("name", p.Customer.Name, "looks like a web address: leave it out, or write a space after each full stop")
	}
	if region, err := language.ParseRegion(p.ShipTo.Country); err != nil || !region.IsCountry() || region.String() != p.ShipTo.Country {
		fault("shipping_address.country", p.ShipTo.Country, "is not an ISO 3166-1 country code such as GB or DE")
	}
	p.Lines = sumLines(p.Lines, maxUnits, fault)
	if len(p.Lines) > maxLines {
		fault("lines", len(p.Lines), "has too many: one order takes at most %d different items", maxLines)
	}
	if len(p.Lines) == 0 && len(faults) == 0 {
		fault("lines", 0, "is empty: add at least one item")
	}
	if len(faults) > 0 {
		return p, &events.InvalidError{Faults: faults}
	}
	return p, nil
}

// field is a text of a placement that is printed on labels and shown in mails and to staff.
type field struct {
	name     string
	value    *string
	required bool
}

func (p *Placement) texts() []field {
	return []field{
		{"name", &p.Customer.Name, true},
		{"shipping_address.line1", &p.ShipTo.Line1, true},
		{"shipping_address.line2", &p.ShipTo.Line2, false},
		{"shipping_address.city", &p.ShipTo.City, true},
		{"shipping_address.postal_code", &p.ShipTo.PostalCode, true},
		{"shipping_address.country", &p.ShipTo.Country, true},
	}
}

// clean replaces the text by its clean form and returns its fault, "" if it has none.
func (f field) clean() string {
	cleaned, err := text.Clean(*f.value)
	if err != nil {
		return err.Error() + ": type the text again instead of pasting it"
	}
	*f.value = cleaned
	switch {
	case f.required && cleaned == "":
		return "is required"
	case len(cleaned) > 200:
		return "is longer than 200 bytes"
	}
	return ""
}

// hostPattern requires two labels or more: mail to a bare host name such as localhost cannot be delivered.
var hostPattern = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?$`)

func validEmail(address string) bool {
	if clean, err := text.Clean(address); err != nil || clean != address {
		return false // an invisible character would make one address look like another
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > 254 || strings.ContainsFunc(address, unicode.IsSpace) {
		return false
	}
	local, host, _ := strings.Cut(address, "@")
	return len(local) <= 64 && !strings.Contains(local, `"`) && hostPattern.MatchString(host)
}

// sumLines adds up the lines of one SKU, in the order in which the SKUs first occur.
func sumLines(lines []events.ReservedLine, maxUnits int64, fault func(string, any, string, ...any)) []events.ReservedLine {
	var summed []events.ReservedLine
	position := map[string]int{}
	for i, line := range lines {
		if err := events.CheckSKU(line.SKU); err != nil {
			fault(fmt.Sprintf("lines[%d].sku", i), line.SKU[:min(len(line.SKU), 80)], "is not an item number")
			continue
		}
		if line.Quantity < MinQuantity || line.Quantity > maxUnits {
			fault(fmt.Sprintf("lines[%d].quantity", i), line.Quantity, "must be between %d and %d; for more, please contact us", MinQuantity, maxUnits)
			continue
		}
		at, seen := position[line.SKU]
		if !seen {
			position[line.SKU] = len(summed)
			summed = append(summed, line)
			continue
		}
		if summed[at].Quantity += line.Quantity; summed[at].Quantity > maxUnits {
			fault(fmt.Sprintf("lines[%d].quantity", i), summed[at].Quantity, "adds up to more than %d; for more, please contact us", maxUnits)
		}
	}
	return summed
}

// Hash returns a hash that identifies the placement. It does not depend on the order of the lines, so a repeated request has the
// same hash.
func (p Placement) Hash() (string, error) {
	same := p
	same.Lines = slices.SortedFunc(slices.Values(p.Lines), func(a, b events.ReservedLine) int { return cmp.Compare(a.SKU, b.SKU) })
	data, err := json.Marshal(same, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("hash order: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// namespace is the UUID namespace of orders with an Idempotency-Key (RFC 9562 §5.5). It never changes.
var namespace = uuid.MustParse("6f1f9a52-6c1b-5d0e-9b7a-1d6f1c7f0a11")

// IDFor derives the id of an order from its sender, the customer and the Idempotency-Key. A repeated request finds the same
// order. Another sender or another customer with the same key does not, so the key of one cannot be used up by another.
// A guest has no identity besides the e-mail address, which cannot be equal to an actor: it has an @ and no colon.
func IDFor(sender api.Principal, email, key string) string {
	name := email + "\x00" + key
	if sender.IsStaff() {
		name = sender.Actor + "\x00" + name
	}
	return uuid.NewSHA1(namespace, []byte(name)).String()
}

// crockford is Douglas Crockford's base 32, whose characters are not confused on the telephone.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NumberFor returns the order number that the customer quotes: 50 bits of the id's hash. Among a million orders two share a
// number with a probability of one in two thousand, so only the id identifies an order.
func NumberFor(id string) string {
	sum := sha256.Sum256([]byte("order number " + id))
	var number [10]byte
	var bits uint64
	for i := range 8 {
		bits = bits<<8 | uint64(sum[i])
	}
	for i := range number {
		number[i] = crockford[bits&31]
		bits >>= 5
	}
	return string(number[:5]) + "-" + string(number[5:])
}
