package orders

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
)

func good() Placement {
	return Placement{
		Customer: events.Customer{Email: " Ada@Example.com ", Name: "Ada Lovelace"},
		ShipTo:   events.Address{Line1: "12 Analytical Row", City: "London", PostalCode: "W1", Country: "GB"},
		Lines:    []events.ReservedLine{{SKU: "MUG", Quantity: 2}, {SKU: "CUP", Quantity: 1}, {SKU: "MUG", Quantity: 3}},
	}
}

func TestNormalizeTrimsAndSums(t *testing.T) {
	t.Parallel()
	got, err := good().Normalize(100)
	if err != nil {
		t.Fatal(err)
	}
	want := []events.ReservedLine{{SKU: "MUG", Quantity: 5}, {SKU: "CUP", Quantity: 1}}
	if diff := cmp.Diff(want, got.Lines); diff != "" || got.Customer.Email != "ada@example.com" || got.Customer.Locale != "en" {
		t.Errorf("%s %+v", diff, got.Customer)
	}
}

func TestNormalizeNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change   func(*Placement)
		location string
	}{
		"no e-mail":           {func(p *Placement) { p.Customer.Email = "" }, "body.email"},
		"no host":             {func(p *Placement) { p.Customer.Email = "ada" }, "body.email"},
		"bare host":           {func(p *Placement) { p.Customer.Email = "ada@localhost" }, "body.email"},
		"two addresses":       {func(p *Placement) { p.Customer.Email = "a@example.com,b@example.com" }, "body.email"},
		"header injection":    {func(p *Placement) { p.Customer.Email = "a@example.com\r\nBcc: x@example.com" }, "body.email"},
		"display name":        {func(p *Placement) { p.Customer.Email = "Ada <ada@example.com>" }, "body.email"},
		"absurdly long":       {func(p *Placement) { p.Customer.Email = strings.Repeat("a", 250) + "@example.com" }, "body.email"},
		"no name":             {func(p *Placement) { p.Customer.Name = " " }, "body.name"},
		"line feed in a name": {func(p *Placement) { p.Customer.Name = "Ada\nLovelace" }, "body.name"},
		"no such language":    {func(p *Placement) { p.Customer.Locale = "klingon!" }, "body.locale"},
		"no such country":     {func(p *Placement) { p.ShipTo.Country = "XX" }, "body.shipping_address.country"},
		"a country's name":    {func(p *Placement) { p.ShipTo.Country = "France" }, "body.shipping_address.country"},
		"lower-case country":  {func(p *Placement) { p.ShipTo.Country = "gb" }, "body.shipping_address.country"},
		"no city":             {func(p *Placement) { p.ShipTo.City = "" }, "body.shipping_address.city"},
		"nothing ordered":     {func(p *Placement) { p.Lines = nil }, "body.lines"},
		"quantity 0":          {func(p *Placement) { p.Lines[1].Quantity = 0 }, "body.lines[1].quantity"},
		"negative quantity":   {func(p *Placement) { p.Lines[0].Quantity = -1 }, "body.lines[0].quantity"},
		"a billion":           {func(p *Placement) { p.Lines[0].Quantity = 1_000_000_000 }, "body.lines[0].quantity"},
		"a million and one":   {func(p *Placement) { p.Lines[0].Quantity, p.Lines[2].Quantity = MaxQuantity, 1 }, "body.lines[2].quantity"},
		"hostile item":        {func(p *Placement) { p.Lines[0].SKU = "a\r\nPUB orders.x 0" }, "body.lines[0].sku"},
		"nameless item":       {func(p *Placement) { p.Lines[0].SKU = "" }, "body.lines[0].sku"},
		"item with a space":   {func(p *Placement) { p.Lines[0].SKU = " MUG" }, "body.lines[0].sku"},
		"endless item":        {func(p *Placement) { p.Lines[0].SKU = strings.Repeat("ü", 65) }, "body.lines[0].sku"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := good()
			c.change(&p)
			_, err := p.Normalize(100)
			var invalid *InvalidError
			if !errors.As(err, &invalid) || invalid.Faults[0].Location != c.location {
				t.Errorf("got %v, want a fault at %s", err, c.location)
			}
		})
	}
}

func TestOneLineMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	if _, err := good().Normalize(2); err != nil {
		t.Errorf("two items, limit two: %v", err)
	}
	if _, err := good().Normalize(1); err == nil {
		t.Error("two items, limit one: taken")
	}
}

func TestTheHashIsOfWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	hash := func(change func(*Placement)) string {
		p, err := good().Normalize(100)
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
		t.Error("the order of lines changes the hash")
	}
	if other := hash(func(p *Placement) { p.Lines[0].Quantity++ }); other == same {
		t.Error("another quantity has the same hash")
	}
}

func TestIdsAndNumbers(t *testing.T) {
	t.Parallel()
	first, again, stranger := IDFor("a@example.com", "k"), IDFor("a@example.com", "k"), IDFor("b@example.com", "k")
	if first != again || first == stranger {
		t.Error("the id is not a function of customer and key")
	}
	if err := events.CheckID(IDFor("a@example.com", "any key, however odd *>.")); err != nil {
		t.Error(err)
	}
	if n := NumberFor("o1"); len(n) != 11 || n[5] != '-' || n != NumberFor("o1") || n == NumberFor("o2") {
		t.Errorf("number %q", n)
	}
}
