package orders

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/events/api"
)

func good() Placement {
	return Placement{
		Customer: events.Customer{Email: " Ada@Example.com ", Name: "Ada Lovelace"},
		ShipTo:   events.Address{Line1: "12 Analytical Row", City: "London", PostalCode: "W1", Country: "GB"},
		Lines:    []events.ReservedLine{{SKU: "MUG", Quantity: 2}, {SKU: "CUP", Quantity: 1}, {SKU: "MUG", Quantity: 3}},
	}
}

func TestNormalizeTrimsTextsAndAddsUpLines(t *testing.T) {
	t.Parallel()
	got, err := good().Normalize(100, MaxQuantity)
	if err != nil {
		t.Fatal(err)
	}
	want := []events.ReservedLine{{SKU: "MUG", Quantity: 5}, {SKU: "CUP", Quantity: 1}}
	if diff := cmp.Diff(want, got.Lines); diff != "" || got.Customer.Email != "ada@example.com" || got.Customer.Locale != "en" {
		t.Errorf("got customer %+v, want ada@example.com, en; lines (-want +got):\n%s", got.Customer, diff)
	}
}

func TestNormalizeNamesTheInvalidField(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*Placement)
		field  string
	}{
		"no e-mail":             {func(p *Placement) { p.Customer.Email = "" }, "email"},
		"no host":               {func(p *Placement) { p.Customer.Email = "ada" }, "email"},
		"bare host":             {func(p *Placement) { p.Customer.Email = "ada@localhost" }, "email"},
		"two addresses":         {func(p *Placement) { p.Customer.Email = "a@example.com,b@example.com" }, "email"},
		"header injection":      {func(p *Placement) { p.Customer.Email = "a@example.com\r\nBcc: x@example.com" }, "email"},
		"display name":          {func(p *Placement) { p.Customer.Email = "Ada <ada@example.com>" }, "email"},
		"too long":              {func(p *Placement) { p.Customer.Email = strings.Repeat("a", 250) + "@example.com" }, "email"},
		"no name":               {func(p *Placement) { p.Customer.Name = " " }, "name"},
		"escape in a name":      {func(p *Placement) { p.Customer.Name = "Ada\x1b[31m" }, "name"},
		"no such language":      {func(p *Placement) { p.Customer.Locale = "klingon!" }, "locale"},
		"no such country":       {func(p *Placement) { p.ShipTo.Country = "XX" }, "shipping_address.country"},
		"a country's name":      {func(p *Placement) { p.ShipTo.Country = "France" }, "shipping_address.country"},
		"lower-case country":    {func(p *Placement) { p.ShipTo.Country = "gb" }, "shipping_address.country"},
		"no city":               {func(p *Placement) { p.ShipTo.City = "" }, "shipping_address.city"},
		"nothing ordered":       {func(p *Placement) { p.Lines = nil }, "lines"},
		"quantity 0":            {func(p *Placement) { p.Lines[1].Quantity = 0 }, "lines[1].quantity"},
		"negative quantity":     {func(p *Placement) { p.Lines[0].Quantity = -1 }, "lines[0].quantity"},
		"quantity of a billion": {func(p *Placement) { p.Lines[0].Quantity = 1_000_000_000 }, "lines[0].quantity"},
		"a million and one":     {func(p *Placement) { p.Lines[0].Quantity, p.Lines[2].Quantity = MaxQuantity, 1 }, "lines[2].quantity"},
		"item with a line feed": {func(p *Placement) { p.Lines[0].SKU = "a\r\nPUB orders.x 0" }, "lines[0].sku"},
		"nameless item":         {func(p *Placement) { p.Lines[0].SKU = "" }, "lines[0].sku"},
		"item with a space":     {func(p *Placement) { p.Lines[0].SKU = " MUG" }, "lines[0].sku"},
		"item of 65 characters": {func(p *Placement) { p.Lines[0].SKU = strings.Repeat("ü", 65) }, "lines[0].sku"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := good()
			c.change(&p)
			_, err := p.Normalize(100, MaxQuantity)
			var invalid *events.InvalidError
			if !errors.As(err, &invalid) || invalid.Faults[0].Field != c.field {
				t.Errorf("got %v, want a fault at %s", err, c.field)
			}
		})
	}
}

func TestNormalizeRefusesOneItemMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	if _, err := good().Normalize(2, MaxQuantity); err != nil {
		t.Errorf("two items, limit two: got %v, want no error", err)
	}
	if _, err := good().Normalize(1, MaxQuantity); err == nil {
		t.Error("two items, limit one: got no error, want one")
	}
}

func TestTheHashIdentifiesThePlacement(t *testing.T) {
	t.Parallel()
	hash := func(change func(*Placement)) string {
		p, err := good().Normalize(100, MaxQuantity)
		if err != nil {
			t.Fatal(err)
		}
		change(&p)
		h, err := p.Hash()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	same := hash(func(*Placement) {})
	if swapped := hash(func(p *Placement) { p.Lines[0], p.Lines[1] = p.Lines[1], p.Lines[0] }); swapped != same {
		t.Errorf("swapped lines: got hash %s, want %s", swapped, same)
	}
	if other := hash(func(p *Placement) { p.Lines[0].Quantity++ }); other == same {
		t.Errorf("another quantity: got the same hash %s, want another", other)
	}
}

func TestIDsAndNumbersAreDerivedFromTheRequest(t *testing.T) {
	t.Parallel()
	first, again, other := IDFor(api.Guest, "a@example.com", "k"), IDFor(api.Guest, "a@example.com", "k"), IDFor(api.Guest, "b@example.com", "k")
	if first != again || first == other {
		t.Errorf("got ids %s, %s and %s of another customer; want two equal and one different", first, again, other)
	}
	if err := events.CheckID(IDFor(api.Guest, "a@example.com", "any key, however odd *>.")); err != nil {
		t.Error(err)
	}
	if n := NumberFor("o1"); len(n) != 11 || n[5] != '-' || n != NumberFor("o1") || n == NumberFor("o2") {
		t.Errorf("got number %q, want XXXXX-XXXXX, the same for the same id", n)
	}
}
