package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// goodBody is a valid checkout. Each case below makes one thing invalid.
const goodBody = `{"email":"ada@example.com","name":"Ada","locale":"en",` +
	`"shipping_address":{"line1":"12 St James's Square","city":"London","postal_code":"SW1Y 4JH","country":"GB"},` +
	`"lines":[{"sku":"MUG","quantity":1}]}`

// altered returns goodBody with a part replaced.
func altered(part, by string) string {
	if !strings.Contains(goodBody, part) {
		panic("no such part: " + part)
	}
	return strings.Replace(goodBody, part, by, 1)
}

// refusal is an invalid checkout and the expected answer.
type refusal struct {
	name   string
	body   string
	status int
	want   string // part of the answer, such as the location of the error
}

const (
	unprocessable = http.StatusUnprocessableEntity
	badRequest    = http.StatusBadRequest
)

var badQuantities = []refusal{
	{"Zero", altered(`"quantity":1`, `"quantity":0`), unprocessable, "body.lines[0].quantity"},
	{"Negative", altered(`"quantity":1`, `"quantity":-1`), unprocessable, "body.lines[0].quantity"},
	{"Fraction", altered(`"quantity":1`, `"quantity":1.5`), unprocessable, "body.lines[0].quantity"},
	{"Billion", altered(`"quantity":1`, `"quantity":1000000000`), unprocessable, "body.lines[0].quantity"},
	{"MoreThanAnInteger", altered(`"quantity":1`, `"quantity":1e30`), unprocessable, "/lines/0/quantity"},
	{"Text", altered(`"quantity":1`, `"quantity":"1"`), unprocessable, "body.lines[0].quantity"},
	{"Null", altered(`"quantity":1`, `"quantity":null`), unprocessable, "body.lines[0].quantity"},
	{"Missing", altered(`,"quantity":1`, ``), unprocessable, "body.lines[0]"},
	{"SumTooLarge", altered(`{"sku":"MUG","quantity":1}`, `{"sku":"MUG","quantity":600000},{"sku":"MUG","quantity":600000}`), unprocessable, "body.lines[1].quantity"},
}

var badItems = []refusal{
	{"Unknown", altered("MUG", "NOPE"), unprocessable, "body.lines[0].sku"},
	{"OtherCase", altered("MUG", "mug"), unprocessable, "body.lines[0].sku"},
	{"Wildcard", altered("MUG", "*"), unprocessable, "body.lines[0].sku"},
	{"FullWildcard", altered("MUG", ">"), unprocessable, "body.lines[0].sku"},
	{"Dot", altered("MUG", "items.MUG"), unprocessable, "body.lines[0].sku"},
	{"Empty", altered("MUG", ""), unprocessable, "body.lines[0].sku"},
	{"FiveThousandBytes", altered("MUG", strings.Repeat("M", 5000)), unprocessable, "body.lines[0].sku"},
	{"None", altered(`{"sku":"MUG","quantity":1}`, ``), unprocessable, "body.lines"},
	{"NullLines", altered(`[{"sku":"MUG","quantity":1}]`, `null`), unprocessable, "body.lines"},
}

var badPeople = []refusal{
	{"NoEmail", altered(`"email":"ada@example.com",`, ``), unprocessable, "email"},
	{"EmptyEmail", altered("ada@example.com", ""), unprocessable, "body.email"},
	{"NoHost", altered("ada@example.com", "ada@"), unprocessable, "body.email"},
	{"BareHost", altered("ada@example.com", "ada@localhost"), unprocessable, "body.email"},
	{"TwoAddresses", altered("ada@example.com", "ada@example.com, eve@example.com"), unprocessable, "body.email"},
	{"Header", altered("ada@example.com", `ada@example.com\r\nBcc: eve@example.com`), unprocessable, "body.email"},
	{"Display", altered("ada@example.com", `Ada <ada@example.com>`), unprocessable, "body.email"},
	{"LongEmail", altered("ada@", strings.Repeat("a", 250)+"@"), unprocessable, "body.email"},
	{"EmptyName", altered(`"Ada"`, `"  "`), unprocessable, "body.name"},
	{"ControlCharacter", altered(`"Ada"`, `"Ada\u0000"`), unprocessable, "body.name"},
	{"LongName", altered(`"Ada"`, `"`+strings.Repeat("a", 201)+`"`), unprocessable, "body.name"},
	{"Locale", altered(`"locale":"en"`, `"locale":"../../etc/passwd"`), unprocessable, "body.locale"},
	{"UnknownCountry", altered(`"GB"`, `"XX"`), unprocessable, "body.shipping_address.country"},
	{"LowerCaseCountry", altered(`"GB"`, `"gb"`), unprocessable, "body.shipping_address.country"},
	{"Continent", altered(`"GB"`, `"150"`), unprocessable, "body.shipping_address.country"},
	{"NoCity", altered(`"city":"London",`, ``), unprocessable, "city"},
}

var badJSON = []refusal{
	{"UnknownField", altered(`"name"`, `"vip":true,"name"`), unprocessable, "body.vip"},
	{"UnknownFieldInLine", altered(`"quantity":1`, `"quantity":1,"discount":50`), unprocessable, "body.lines[0].discount"},
	{"DuplicateField", altered(`"name":"Ada"`, `"name":"Ada","name":"Eve"`), badRequest, "duplicate"},
	{"DuplicateFieldInLine", altered(`"quantity":1`, `"quantity":1,"quantity":2`), badRequest, "duplicate"},
	{"OtherCase", altered(`"name"`, `"Name"`), unprocessable, "name"},
	{"OtherCaseBesides", altered(`"name"`, `"Email":"eve@example.com","name"`), unprocessable, "body.Email"},
	{"PriceInLine", altered(`"quantity":1`, `"quantity":1,"price":{"amount":1,"currency":"GBP"}`), unprocessable, "body.lines[0].price"},
	{"UnitPriceInLine", altered(`"quantity":1`, `"quantity":1,"unit_price":{"amount":1,"currency":"GBP"}`), unprocessable, "body.lines[0].unit_price"},
	{"Total", altered(`"name"`, `"total":{"amount":1,"currency":"GBP"},"name"`), unprocessable, "body.total"},
	{"Status", altered(`"name"`, `"status":"confirmed","name"`), unprocessable, "body.status"},
	{"CutShort", goodBody[:60], badRequest, "JSON"},
	{"Twice", goodBody + goodBody, badRequest, "JSON"},
	{"NotUTF8", altered("Ada", "A\xffda"), badRequest, "UTF-8"},
	{"Null", "null", unprocessable, "body"},
	{"List", "[" + goodBody + "]", unprocessable, "body"},
	{"Nothing", "", badRequest, "body"},
	{"TooMuch", altered(`"Ada"`, `"`+strings.Repeat("a", 65<<10)+`"`), http.StatusRequestEntityTooLarge, "65536"},
}

// Row 63 of the fault matrix, in requests: invalid amounts are refused, and nothing is stored.
func TestInvalidCheckoutsAreRefused(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 100)
	for name, table := range map[string][]refusal{"Quantity": badQuantities, "Item": badItems, "Person": badPeople, "JSON": badJSON} {
		t.Run(name, func(t *testing.T) {
			for _, r := range table {
				t.Run(r.name, func(t *testing.T) { refuses(t, ts, r) })
			}
		})
	}
	t.Run("ContentType", func(t *testing.T) { contentTypes(t, ts) })
	if n := ts.placedBy(t, "ada@example.com"); n != 0 {
		t.Errorf("%d orders were placed, want 0", n)
	}
	if got := ts.stock(t, "MUG"); got != (level{100, 100, 0}) {
		t.Errorf("stock = %+v, want it unchanged", got)
	}
	ts.buy(t, cart("ada", line{"MUG", 1}))
}

func refuses(t *testing.T, ts *testShop, r refusal) {
	t.Helper()
	a := ts.send(t, ts.request(t, http.MethodPost, "/api/orders", "", strings.NewReader(r.body)))
	if a.Status != r.status || !strings.Contains(string(a.Body), r.want) {
		t.Errorf("got %d %.500s\nwant %d with %q", a.Status, a.Body, r.status, r.want)
	}
	isProblem(t, a)
}

func contentTypes(t *testing.T, ts *testShop) {
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"} {
		r := ts.request(t, http.MethodPost, "/api/orders", "", strings.NewReader(goodBody))
		r.Header.Set("Content-Type", kind)
		a := ts.send(t, r)
		if a.Status != http.StatusUnsupportedMediaType {
			t.Errorf("Content-Type %s: status %d, want 415: %.200s", kind, a.Status, a.Body)
		}
		isProblem(t, a)
	}
}

// The limit is a setting, and an order with the largest possible limit works.
func TestOrderLinesAreLimited(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{100, 800} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			ts := startShop(t, func(c *Config) { c.MaxOrderLines = limit })
			lines := ts.listMany(t, limit+1)
			a := ts.post(t, cart("max", lines...), "")
			if a.Status != http.StatusUnprocessableEntity || !strings.Contains(string(a.Body), "body.lines") {
				t.Errorf("%d lines: status %d, want 422: %.300s", limit+1, a.Status, a.Body)
			}
			isProblem(t, a)
			// A second line of the same item does not count.
			o := ts.buy(t, cart("max", append(lines[:limit:limit], lines[0])...))
			if len(o.Lines) != limit || o.Lines[0].Quantity != 2 || o.Total != gbp(int64(limit+1)*100) {
				t.Errorf("bought %d lines for %s, want %d", len(o.Lines), o.Total, limit)
			}
			ts.stockBecomes(t, lines[0].SKU, level{3, 3, 0})
			ts.stockBecomes(t, lines[limit-1].SKU, level{4, 4, 0})
			ts.stockBecomes(t, lines[limit].SKU, level{5, 5, 0})
		})
	}
}

// listMany adds n items at £1 to the catalogue, five of each, and returns a line of each.
func (ts *testShop) listMany(t *testing.T, n int) []line {
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
		ts.staff(t, http.MethodPost, "/items", map[string]any{"items": part}, &done)
		for _, r := range done.Results {
			if r.Error != "" {
				t.Fatal(r.Error)
			}
		}
	}
	return lines
}
