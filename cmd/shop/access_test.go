package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tillstream/cmd/internal/auth"
	"tillstream/events"
)

// routesOfAnOrder are the routes that need the token of an order.
var routesOfAnOrder = []string{"GET /api/orders/ID", "GET /api/orders/ID/events", "POST /api/orders/ID/cancel",
	"GET /api/orders/ID/payment", "GET /api/orders/ID/payment?wait=1"}

// ask sends a request to a route, with ID replaced.
func (ts *testShop) ask(t *testing.T, route, id, bearer, body string) answer {
	t.Helper()
	method, path, _ := strings.Cut(strings.ReplaceAll(route, "ID", url.PathEscape(id)), " ")
	r := ts.request(t, method, path, bearer, nil)
	if body != "" {
		r = ts.request(t, method, path, bearer, strings.NewReader(body))
	}
	return ts.send(t, r)
}

// The token of another order, of staff, or a part of the token opens no order.
//
// API1 of the OWASP API Top 10.
func TestOrderNeedsItsOwnToken(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	mine := ts.place(t, cart("mia", line{"MUG", 1}))
	theirs := ts.place(t, cart("theo", line{"MUG", 1}))
	ts.checkout(t, mine)
	tokens := map[string]string{"no token": "", "another order's token": theirs.AccessToken, "garbage": "garbage", "the order's id": mine.ID,
		"half a token": mine.AccessToken[:20], "more than the token": mine.AccessToken + "A", "staff's token": ts.OpsKey}
	for who, token := range tokens {
		for _, route := range routesOfAnOrder {
			a := ts.ask(t, route, mine.ID, token, "")
			if a.Status != http.StatusNotFound {
				t.Errorf("%s with %s: status %d, want 404: %.200s", route, who, a.Status, a.Body)
			}
			isProblem(t, a)
			if text := string(a.Body); strings.Contains(text, "mia") || strings.Contains(text, mine.Number) {
				t.Errorf("%s with %s: body %s contains data of the order", route, who, text)
			}
		}
	}
	other := ts.request(t, http.MethodGet, "/api/orders/"+mine.ID, "", nil)
	other.Header.Set("Authorization", "Basic "+mine.AccessToken)
	if a := ts.send(t, other); a.Status != http.StatusNotFound {
		t.Errorf("token with the scheme Basic: status %d, want 404", a.Status)
	}
	if now := ts.read(t, mine); now.Status != "awaiting_payment" {
		t.Errorf("order status = %q, want awaiting_payment", now.Status)
	}
	ts.settle(t, mine)
}

// Shoppers cannot use the routes of staff.
//
// API5 of the OWASP API Top 10.
func TestStaffRoutesRefuseShoppers(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	mine := ts.place(t, cart("mia", line{"MUG", 1}))
	for _, route := range []string{"GET /ops/api/orders", "GET /ops/api/stock/MUG", "PUT /ops/api/items/MUG", "POST /ops/api/items", "POST /ops/api/stock/MUG/adjustments"} {
		for _, token := range []string{"", mine.AccessToken, "garbage"} {
			a := ts.ask(t, route, "", token, "")
			if a.Status != http.StatusUnauthorized && a.Status != http.StatusNotFound {
				t.Errorf("%s with a shopper's token: status %d, want 401 or 404: %.200s", route, a.Status, a.Body)
			}
			isProblem(t, a)
		}
	}
	if got := ts.stock(t, "MUG"); got.OnHand != 10 {
		t.Errorf("stock = %+v, want 10 on hand", got)
	}
}

// hostileIDs are wildcards of the broker, several tokens, or invalid as subjects. No order has such an id. Printable ones that
// are not too long are valid SKUs, because SKUs come from suppliers.
var hostileIDs = map[string]string{
	"Wildcard": "*", "FullWildcard": ">", "Dots": "a.b", "Slash": "a/b%2F", "Subject": "orders.*", "Space": "a b", "NUL": "a\x00b", "NewLine": "a\r\nb",
	"Operator": "$where", "FiveThousandBytes": strings.Repeat("x", 5000), "UnknownID": "01980000-0000-7000-8000-000000000000",
}

// Row 17 of the fault matrix: an invalid id is answered with 404, even with a token that was made for it, and the next
// shopper is served.
func TestHostileIDsAreNotFound(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	var kept secrets
	readFile(t, ts.config.dir("secrets.json"), &kept)
	tokens, err := auth.New(auth.Config{Secrets: kept.TokenSecret})
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range hostileIDs {
		t.Run(name, func(t *testing.T) {
			for _, route := range routesOfAnOrder {
				a := ts.ask(t, route, id, tokens.Token(id), "")
				if a.Status != http.StatusNotFound {
					t.Errorf("%s: unexpected status %d: %.200s", route, a.Status, a.Body)
				}
				isProblem(t, a)
			}
			if name == "UnknownID" {
				return // it is a valid SKU
			}
			pages := []string{"GET /items/ID", "GET /orders/ID"}
			if events.CheckSKU(id) != nil {
				pages = append(pages, "GET /images/items/ID.svg") // every valid SKU has a picture
			}
			for _, page := range pages {
				if a := ts.ask(t, page, id, "", ""); a.Status != http.StatusNotFound {
					t.Errorf("%s: status %d, want 404", page, a.Status)
				}
			}
			if events.CheckSKU(id) != nil {
				ts.refusesSKU(t, id)
				return
			}
			ts.acceptsSKU(t, id)
			if got := ts.stock(t, "MUG"); got != (level{10, 10, 0}) {
				t.Errorf("stock of another item = %+v, want it unchanged", got)
			}
		})
	}
	ts.buy(t, cart("ada", line{"MUG", 1}))
}

// refusesSKU fails unless all routes refuse an invalid SKU.
func (ts *testShop) refusesSKU(t *testing.T, id string) {
	t.Helper()
	for route, body := range map[string]string{
		"GET /api/items/ID":                  "",
		"GET /ops/api/stock/ID":              "",
		"PUT /ops/api/items/ID":              `{"title":"x","price":{"amount":1,"currency":"GBP"}}`,
		"POST /ops/api/stock/ID/adjustments": `{"delta":1,"reason":"found"}`,
	} {
		bearer := ""
		if strings.Contains(route, "/ops/") {
			bearer = ts.OpsKey
		}
		a := ts.ask(t, route, id, bearer, body)
		if a.Status != http.StatusBadRequest {
			t.Errorf("%s: unexpected status %d: %.200s", route, a.Status, a.Body)
		}
		isProblem(t, a)
	}
}

// acceptsSKU fails unless a SKU of printable characters is one item, even if it has characters that are special to the broker:
// the item is not found before staff list it, and its events have a subject of their own.
func (ts *testShop) acceptsSKU(t *testing.T, id string) {
	t.Helper()
	for _, route := range []string{"GET /api/items/ID", "GET /ops/api/stock/ID"} {
		a := ts.ask(t, route, id, ts.OpsKey, "")
		if a.Status != http.StatusNotFound {
			t.Errorf("%s: unexpected status %d: %.200s", route, a.Status, a.Body)
		}
		isProblem(t, a)
	}
	var put struct{ SKU string }
	ts.ask(t, "PUT /ops/api/items/ID", id, ts.OpsKey, `{"title":"x","price":{"amount":1250,"currency":"GBP"}}`).into(t, http.StatusOK, &put)
	var now level
	ts.ask(t, "POST /ops/api/stock/ID/adjustments", id, ts.OpsKey, `{"delta":1,"reason":"found"}`).into(t, http.StatusOK, &now)
	if put.SKU != id || now != (level{1, 1, 0}) {
		t.Errorf("listed %q with stock %+v, want %q with 1", put.SKU, now, id)
	}
	for _, page := range []string{"GET /items/ID", "GET /images/items/ID.svg"} {
		waitFor(t, page+" shows the new item", func() bool { return ts.ask(t, page, id, "", "").Status == http.StatusOK })
	}
	var o order
	ts.post(t, cart("ada", line{id, 1}), "").into(t, http.StatusCreated, &o)
	ts.becomes(t, o, "awaiting_payment")
	ts.cancel(t, o).into(t, http.StatusOK, &o)
	ts.stockBecomes(t, id, level{1, 1, 0})
	for prefix, want := range map[string]int{events.PrefixItem: 1, events.PrefixStock: 3} { // found, held, released
		subject, err := events.Subject(prefix, id)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(ts.history(t, subject)); n != want {
			t.Errorf("subject %s has %d events, want %d", subject, n, want)
		}
	}
}

func TestUnknownRoutesReturnProblems(t *testing.T) {
	ts := startShop(t, nil)
	for route, status := range map[string]int{"GET /api/nothing": 404, "DELETE /api/orders": 405, "PUT /api/orders/x/cancel": 405,
		"GET /webhooks/stripe": 405, "POST /webhooks/paypal": 404, "GET /ops/api/nothing": 404} {
		a := ts.ask(t, route, "", "", "")
		if a.Status != status {
			t.Errorf("%s: status %d, want %d", route, a.Status, status)
		}
		isProblem(t, a)
	}
}
