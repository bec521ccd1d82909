package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// goodBody is a checkout that is taken. The cases below spoil one thing each.
const goodBody = `{"email":"ada@example.com","name":"Ada","locale":"en",` +
	`"shipping_address":{"line1":"12 St James's Square","city":"London","postal_code":"SW1Y 4JH","country":"GB"},` +
	`"lines":[{"sku":"MUG","quantity":1}]}`

// spoiled is goodBody with a part replaced.
func spoiled(part, by string) string {
	if !strings.Contains(goodBody, part) {
		panic("no such part: " + part)
	}
	return strings.Replace(goodBody, part, by, 1)
}

// refusal is a request that must not become an order, and how it is refused.
type refusal struct {
	name   string
	body   string
	status int
	says   string // part of the answer: where it is wrong
}

const (
	unprocessable = http.StatusUnprocessableEntity
	badRequest    = http.StatusBadRequest
)

var badQuantities = []refusal{
	{"Zero", spoiled(`"quantity":1`, `"quantity":0`), unprocessable, "body.lines[0].quantity"},
	{"Negative", spoiled(`"quantity":1`, `"quantity":-1`), unprocessable, "body.lines[0].quantity"},
	{"Fraction", spoiled(`"quantity":1`, `"quantity":1.5`), unprocessable, "body.lines[0].quantity"},
	{"Milliard", spoiled(`"quantity":1`, `"quantity":1000000000`), unprocessable, "body.lines[0].quantity"},
	{"MoreThanAnInteger", spoiled(`"quantity":1`, `"quantity":1e30`), unprocessable, "/lines/0/quantity"},
	{"Text", spoiled(`"quantity":1`, `"quantity":"1"`), unprocessable, "body.lines[0].quantity"},
	{"Null", spoiled(`"quantity":1`, `"quantity":null`), unprocessable, "body.lines[0].quantity"},
	{"Missing", spoiled(`,"quantity":1`, ``), unprocessable, "body.lines[0]"},
	{"SumTooLarge", spoiled(`{"sku":"MUG","quantity":1}`, `{"sku":"MUG","quantity":600000},{"sku":"MUG","quantity":600000}`), unprocessable, "body.lines[1].quantity"},
}

var badItems = []refusal{
	{"Unknown", spoiled("MUG", "NOPE"), unprocessable, "body.lines[0].sku"},
	{"OtherCase", spoiled("MUG", "mug"), unprocessable, "body.lines[0].sku"},
	{"Wildcard", spoiled("MUG", "*"), unprocessable, "body.lines[0].sku"},
	{"FullWildcard", spoiled("MUG", ">"), unprocessable, "body.lines[0].sku"},
	{"Dot", spoiled("MUG", "items.MUG"), unprocessable, "body.lines[0].sku"},
	{"Empty", spoiled("MUG", ""), unprocessable, "body.lines[0].sku"},
	{"FiveThousandBytes", spoiled("MUG", strings.Repeat("M", 5000)), unprocessable, "body.lines[0].sku"},
	{"None", spoiled(`{"sku":"MUG","quantity":1}`, ``), unprocessable, "body.lines"},
	{"NullLines", spoiled(`[{"sku":"MUG","quantity":1}]`, `null`), unprocessable, "body.lines"},
}

var badPeople = []refusal{
	{"NoEmail", spoiled(`"email":"ada@example.com",`, ``), unprocessable, "email"},
	{"EmptyEmail", spoiled("ada@example.com", ""), unprocessable, "body.email"},
	{"NoHost", spoiled("ada@example.com", "ada@"), unprocessable, "body.email"},
	{"BareHost", spoiled("ada@example.com", "ada@localhost"), unprocessable, "body.email"},
	{"TwoAddresses", spoiled("ada@example.com", "ada@example.com, eve@example.com"), unprocessable, "body.email"},
	{"Header", spoiled("ada@example.com", `ada@example.com\r\nBcc: eve@example.com`), unprocessable, "body.email"},
	{"Display", spoiled("ada@example.com", `Ada <ada@example.com>`), unprocessable, "body.email"},
	{"LongEmail", spoiled("ada@", strings.Repeat("a", 250)+"@"), unprocessable, "body.email"},
	{"EmptyName", spoiled(`"Ada"`, `"  "`), unprocessable, "body.name"},
	{"ControlCharacter", spoiled(`"Ada"`, `"Ada\u0000"`), unprocessable, "body.name"},
	{"LongName", spoiled(`"Ada"`, `"`+strings.Repeat("a", 201)+`"`), unprocessable, "body.name"},
	{"Locale", spoiled(`"locale":"en"`, `"locale":"../../etc/passwd"`), unprocessable, "body.locale"},
	{"UnknownCountry", spoiled(`"GB"`, `"XX"`), unprocessable, "body.shipping_address.country"},
	{"LowerCaseCountry", spoiled(`"GB"`, `"gb"`), unprocessable, "body.shipping_address.country"},
	{"Continent", spoiled(`"GB"`, `"150"`), unprocessable, "body.shipping_address.country"},
	{"NoCity", spoiled(`"city":"London",`, ``), unprocessable, "city"},
}

var badJSON = []refusal{
	{"UnknownField", spoiled(`"name"`, `"vip":true,"name"`), unprocessable, "body.vip"},
	{"UnknownFieldInLine", spoiled(`"quantity":1`, `"quantity":1,"discount":50`), unprocessable, "body.lines[0].discount"},
	{"DuplicateField", spoiled(`"name":"Ada"`, `"name":"Ada","name":"Eve"`), badRequest, "duplicate"},
	{"DuplicateFieldInLine", spoiled(`"quantity":1`, `"quantity":1,"quantity":2`), badRequest, "duplicate"},
	{"OtherCase", spoiled(`"name"`, `"Name"`), unprocessable, "name"},
	{"OtherCaseBesides", spoiled(`"name"`, `"Email":"eve@example.com","name"`), unprocessable, "body.Email"},
	{"PriceInLine", spoiled(`"quantity":1`, `"quantity":1,"price":{"amount":1,"currency":"GBP"}`), unprocessable, "body.lines[0].price"},
	{"UnitPriceInLine", spoiled(`"quantity":1`, `"quantity":1,"unit_price":{"amount":1,"currency":"GBP"}`), unprocessable, "body.lines[0].unit_price"},
	{"Total", spoiled(`"name"`, `"total":{"amount":1,"currency":"GBP"},"name"`), unprocessable, "body.total"},
	{"Status", spoiled(`"name"`, `"status":"confirmed","name"`), unprocessable, "body.status"},
	{"CutShort", goodBody[:60], badRequest, "JSON"},
	{"Twice", goodBody + goodBody, badRequest, "JSON"},
	{"NotUTF8", spoiled("Ada", "A\xffda"), badRequest, "UTF-8"},
	{"Null", "null", unprocessable, "body"},
	{"List", "[" + goodBody + "]", unprocessable, "body"},
	{"Nothing", "", badRequest, "body"},
	{"TooMuch", spoiled(`"Ada"`, `"`+strings.Repeat("a", 65<<10)+`"`), http.StatusRequestEntityTooLarge, "65536"},
}

// Row 63 of the fault matrix, in requests: amounts that are none are refused and nothing is stored.
func TestBadCheckouts(t *testing.T) {
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 100)
	for name, table := range map[string][]refusal{"Quantity": badQuantities, "Item": badItems, "Person": badPeople, "JSON": badJSON} {
		t.Run(name, func(t *testing.T) {
			for _, r := range table {
				t.Run(r.name, func(t *testing.T) { refuses(t, m, r) })
			}
		})
	}
	t.Run("ContentType", func(t *testing.T) { contentTypes(t, m) })
	if n := m.placedBy(t, "ada@example.com"); n != 0 {
		t.Errorf("%d orders came of all this", n)
	}
	if got := m.stock(t, "MUG"); got != (level{100, 100, 0}) {
		t.Errorf("stock moved to %+v", got)
	}
	m.buy(t, cart("ada", line{"MUG", 1}))
}

func refuses(t *testing.T, m *testShop, r refusal) {
	t.Helper()
	a := m.send(t, m.request(t, http.MethodPost, "/api/orders", "", strings.NewReader(r.body)))
	if a.Status != r.status || !strings.Contains(string(a.Body), r.says) {
		t.Errorf("answered %d %.500s\nwant %d and %q", a.Status, a.Body, r.status, r.says)
	}
	isProblem(t, a)
}

func contentTypes(t *testing.T, m *testShop) {
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"} {
		r := m.request(t, http.MethodPost, "/api/orders", "", strings.NewReader(goodBody))
		r.Header.Set("Content-Type", kind)
		a := m.send(t, r)
		if a.Status != http.StatusUnsupportedMediaType {
			t.Errorf("%s answers %d: %.200s", kind, a.Status, a.Body)
		}
		isProblem(t, a)
	}
}

// TestTooManyLines: the limit is a setting, and a hold of the most lines that it can be set to works.
func TestTooManyLines(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{100, 800} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			m := startShop(t, func(c *Config) { c.MaxOrderLines = limit })
			lines := m.listMany(t, limit+1)
			a := m.post(t, cart("max", lines...), "")
			if a.Status != http.StatusUnprocessableEntity || !strings.Contains(string(a.Body), "body.lines") {
				t.Errorf("one line too many answers %d: %.300s", a.Status, a.Body)
			}
			isProblem(t, a)
			// The same item again is no further line.
			o := m.buy(t, cart("max", append(lines[:limit:limit], lines[0])...))
			if len(o.Lines) != limit || o.Lines[0].Quantity != 2 || o.Total != gbp(int64(limit+1)*100) {
				t.Errorf("bought %d lines for %s", len(o.Lines), o.Total)
			}
			m.stockBecomes(t, lines[0].SKU, level{3, 3, 0})
			m.stockBecomes(t, lines[limit-1].SKU, level{4, 4, 0})
			m.stockBecomes(t, lines[limit].SKU, level{5, 5, 0})
		})
	}
}

// listMany puts n items at a pound into the catalogue, five of each, and returns a line of each.
func (m *testShop) listMany(t *testing.T, n int) []line {
	t.Helper()
	lines, items := make([]line, n), make([]map[string]any, n)
	for i := range lines {
		lines[i] = line{fmt.Sprintf("ITEM-%03d", i), 1}
		items[i] = map[string]any{"sku": lines[i].SKU, "title": "Item", "price": gbp(100), "on_hand": 5}
	}
	for len(items) > 0 {
		part := items[:min(len(items), 200)]
		items = items[len(part):]
		var done struct{ Results []struct{ Error string } }
		m.staff(t, http.MethodPost, "/items", map[string]any{"items": part}, &done)
		for _, r := range done.Results {
			if r.Error != "" {
				t.Fatal(r.Error)
			}
		}
	}
	return lines
}
