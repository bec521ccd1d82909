package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tillstream/cmd/internal/auth"
	"tillstream/events"
)

// routesOfAnOrder is everything that a shopper can ask about an order.
var routesOfAnOrder = []string{"GET /api/orders/ID", "GET /api/orders/ID/events", "POST /api/orders/ID/cancel",
	"GET /api/orders/ID/payment", "GET /api/orders/ID/payment?wait=1"}

// ask makes a request of a route with ID replaced.
func (m *testShop) ask(t *testing.T, route, id, bearer, body string) answer {
	t.Helper()
	method, path, _ := strings.Cut(strings.ReplaceAll(route, "ID", url.PathEscape(id)), " ")
	r := m.request(t, method, path, bearer, nil)
	if body != "" {
		r = m.request(t, method, path, bearer, strings.NewReader(body))
	}
	return m.send(t, r)
}

func TestStrangersSeeNothing(t *testing.T) {
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 10)
	mine := m.place(t, cart("mia", line{"MUG", 1}))
	theirs := m.place(t, cart("theo", line{"MUG", 1}))
	m.checkout(t, mine)
	tokens := map[string]string{"nothing": "", "another order's token": theirs.AccessToken, "garbage": "garbage", "the order's id": mine.ID,
		"half a token": mine.AccessToken[:20], "more than the token": mine.AccessToken + "A", "staff's token": m.OpsToken}
	for who, token := range tokens {
		for _, route := range routesOfAnOrder {
			a := m.ask(t, route, mine.ID, token, "")
			if a.Status != http.StatusNotFound {
				t.Errorf("%s with %s answers %d: %.200s", route, who, a.Status, a.Body)
			}
			isProblem(t, a)
			if said := string(a.Body); strings.Contains(said, "mia") || strings.Contains(said, mine.Number) {
				t.Errorf("%s with %s tells %s", route, who, said)
			}
		}
	}
	other := m.request(t, http.MethodGet, "/api/orders/"+mine.ID, "", nil)
	other.Header.Set("Authorization", "Basic "+mine.AccessToken)
	if a := m.send(t, other); a.Status != http.StatusNotFound {
		t.Errorf("the token under another scheme answers %d", a.Status)
	}
	if now := m.read(t, mine); now.Status != "awaiting_payment" {
		t.Errorf("after all this the order is %s", now.Status)
	}
	m.settle(t, mine)
}

func TestShoppersAreNotStaff(t *testing.T) {
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 10)
	mine := m.place(t, cart("mia", line{"MUG", 1}))
	for _, route := range []string{"GET /ops/api/orders", "GET /ops/api/stock/MUG", "PUT /ops/api/items/MUG", "POST /ops/api/items", "POST /ops/api/stock/MUG/adjustments"} {
		for _, token := range []string{"", mine.AccessToken, "garbage"} {
			a := m.ask(t, route, "", token, "")
			if a.Status != http.StatusUnauthorized && a.Status != http.StatusNotFound {
				t.Errorf("%s answers a shopper %d: %.200s", route, a.Status, a.Body)
			}
			isProblem(t, a)
		}
	}
	if got := m.stock(t, "MUG"); got.OnHand != 10 {
		t.Errorf("a shopper changed the stock to %+v", got)
	}
}

// hostileIDs are what the broker would understand as wildcards or more than one token, or not survive. No order has such an
// id; those that are printable and not too long may be item numbers, because people outside the shop make those.
var hostileIDs = map[string]string{
	"Wildcard": "*", "FullWildcard": ">", "Dots": "a.b", "Slash": "a/b%2F", "Subject": "orders.*", "Space": "a b", "NUL": "a\x00b", "NewLine": "a\r\nb",
	"Operator": "$where", "FiveThousandBytes": strings.Repeat("x", 5000), "NobodysID": "01980000-0000-7000-8000-000000000000",
}

// TestHostileIDs: even with a token made for it, an id that is none leads nowhere, and whoever comes next is served.
// Row 17 of the fault matrix.
func TestHostileIDs(t *testing.T) {
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 10)
	var kept secrets
	readFile(t, m.config.dir("secrets.json"), &kept)
	tokens, err := auth.New(kept.TokenSecret, kept.OpsToken)
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range hostileIDs {
		t.Run(name, func(t *testing.T) {
			for _, route := range routesOfAnOrder {
				a := m.ask(t, route, id, tokens.Token(id), "")
				if a.Status != http.StatusNotFound {
					t.Errorf("%s answers %d: %.200s", route, a.Status, a.Body)
				}
				isProblem(t, a)
			}
			if name == "NobodysID" {
				return // it is well-formed, and staff may call an item so
			}
			pages := []string{"GET /items/ID", "GET /orders/ID"}
			if events.CheckSKU(id) != nil {
				pages = append(pages, "GET /images/items/ID.svg") // a picture is painted for whatever can be an item number
			}
			for _, page := range pages {
				if a := m.ask(t, page, id, "", ""); a.Status != http.StatusNotFound {
					t.Errorf("%s answers %d", page, a.Status)
				}
			}
			if events.CheckSKU(id) != nil {
				m.refusesSKU(t, id)
				return
			}
			m.takesSKU(t, id)
			if got := m.stock(t, "MUG"); got != (level{10, 10, 0}) {
				t.Errorf("the stock of another item is %+v", got)
			}
		})
	}
	m.buy(t, cart("ada", line{"MUG", 1}))
}

// refusesSKU expects that nothing can be read or written under an item number that is none.
func (m *testShop) refusesSKU(t *testing.T, id string) {
	t.Helper()
	for route, body := range map[string]string{
		"GET /api/items/ID":                  "",
		"GET /ops/api/stock/ID":              "",
		"PUT /ops/api/items/ID":              `{"title":"x","price":{"amount":1,"currency":"GBP"}}`,
		"POST /ops/api/stock/ID/adjustments": `{"delta":1,"reason":"found"}`,
	} {
		bearer := ""
		if strings.Contains(route, "/ops/") {
			bearer = m.OpsToken
		}
		a := m.ask(t, route, id, bearer, body)
		if a.Status != http.StatusBadRequest {
			t.Errorf("%s answers %d: %.200s", route, a.Status, a.Body)
		}
		isProblem(t, a)
	}
}

// takesSKU expects that an item number of printable characters names one item, whatever the characters mean to the broker:
// nothing is found under it before staff list it, and what they write stands on a subject that is its own.
func (m *testShop) takesSKU(t *testing.T, id string) {
	t.Helper()
	for _, route := range []string{"GET /api/items/ID", "GET /ops/api/stock/ID"} {
		a := m.ask(t, route, id, m.OpsToken, "")
		if a.Status != http.StatusNotFound {
			t.Errorf("%s answers %d: %.200s", route, a.Status, a.Body)
		}
		isProblem(t, a)
	}
	var put struct{ SKU string }
	m.ask(t, "PUT /ops/api/items/ID", id, m.OpsToken, `{"title":"x","price":{"amount":1250,"currency":"GBP"}}`).into(t, http.StatusOK, &put)
	var now level
	m.ask(t, "POST /ops/api/stock/ID/adjustments", id, m.OpsToken, `{"delta":1,"reason":"found"}`).into(t, http.StatusOK, &now)
	if put.SKU != id || now != (level{1, 1, 0}) {
		t.Errorf("listed %q, of which there is %+v", put.SKU, now)
	}
	for _, page := range []string{"GET /items/ID", "GET /images/items/ID.svg"} {
		waitFor(t, page+" shows the new item", func() bool { return m.ask(t, page, id, "", "").Status == http.StatusOK })
	}
	var o order
	m.post(t, cart("ada", line{id, 1}), "").into(t, http.StatusCreated, &o)
	m.becomes(t, o, "awaiting_payment")
	m.cancel(t, o).into(t, http.StatusOK, &o)
	m.stockBecomes(t, id, level{1, 1, 0})
	for prefix, want := range map[string]int{events.PrefixItem: 1, events.PrefixStock: 3} { // found, held, released
		subject, err := events.Subject(prefix, id)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(m.history(t, subject)); n != want {
			t.Errorf("%d events on %s, want %d", n, subject, want)
		}
	}
}

func TestNoSuchRoute(t *testing.T) {
	m := startShop(t, nil)
	for route, status := range map[string]int{"GET /api/nothing": 404, "DELETE /api/orders": 405, "PUT /api/orders/x/cancel": 405,
		"GET /webhooks/stripe": 405, "POST /webhooks/paypal": 404, "GET /ops/api/nothing": 404} {
		a := m.ask(t, route, "", "", "")
		if a.Status != status {
			t.Errorf("%s answers %d, want %d", route, a.Status, status)
		}
		isProblem(t, a)
	}
}
