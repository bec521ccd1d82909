package inventory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/inventory"
)

func newRequest(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// staff sends a request with the ops token and fails the test unless the answer has a status.
func (s *shop) staff(t testing.TB, method, path, body string, status int) map[string]any {
	t.Helper()
	w := s.request(t, method, path, body, "Authorization", "Bearer "+staffToken)
	if w.Code != status {
		t.Fatalf("%s %s: got %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	return decoded(t, w)
}

func decoded(t testing.TB, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("decode %s: %v", w.Body, err)
	}
	delete(body, "$schema")
	return body
}

const mug = `{"title":"Enamel Mug","description":"White.","price":{"amount":850,"currency":"GBP"},"tags":["kitchen"],"on_hand":7}`

func TestAListedItemAppearsInTheCatalogue(t *testing.T) {
	t.Parallel()
	s := open(t)
	got := s.staff(t, "PUT", "/ops/api/items/MUG-1", mug, 200)
	level := map[string]any{"sku": "MUG-1", "on_hand": 7.0, "available": 7.0, "held": 0.0}
	offer := map[string]any{"sku": "MUG-1", "title": "Enamel Mug", "price": map[string]any{"amount": 850.0, "currency": "GBP"},
		"available": 7.0, "image": "/images/items/MUG-1.svg", "tags": []any{"kitchen"}}
	want := map[string]any{"description": "White.", "changed": true, "stock": level}
	for k, v := range offer {
		want[k] = v
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff(level, s.staff(t, "GET", "/ops/api/stock/MUG-1", "", 200)); diff != "" {
		t.Fatal(diff)
	}
	s.wait(t, "the catalogue has all of it", func() bool {
		w := s.request(t, "GET", "/api/items/MUG-1", "")
		return w.Code == 200 && decoded(t, w)["available"] == 7.0
	})
	if diff := cmp.Diff(map[string]any{"items": []any{offer}}, decoded(t, s.request(t, "GET", "/api/items?q=enam", ""))); diff != "" {
		t.Fatal(diff)
	}
	offer["description"] = "White."
	if diff := cmp.Diff(offer, decoded(t, s.request(t, "GET", "/api/items/MUG-1", ""))); diff != "" {
		t.Fatal(diff)
	}
	before := s.messages(t)
	if again := s.staff(t, "PUT", "/ops/api/items/MUG-1", mug, 200); again["changed"] != false || s.messages(t) != before {
		t.Fatalf("the same listing again: got %v, %d events; want unchanged, %d", again, s.messages(t), before)
	}
}

// SKUs come from outside the shop: real ones contain spaces, dots, slashes and umlauts.
func TestASKUCanBeAnyPrintableText(t *testing.T) {
	t.Parallel()
	s := open(t)
	for sku, path := range map[string]string{
		"BANK CHARGES": "BANK%20CHARGES", "POST": "POST", "a/b.c": "a%2Fb.c", "Köln 1": "K%C3%B6ln%201", "100%25": "100%2525",
		"?q=#": "%3Fq=%23", "*": "*", ">": "%3E", "a%2Fb.c": "a%252Fb.c", strings.Repeat("😀", 64): strings.Repeat("%F0%9F%98%80", 64),
	} {
		t.Run(path[:min(len(path), 20)], func(t *testing.T) {
			image := "/images/items/" + url.PathEscape(sku) + ".svg"
			listed := s.staff(t, "PUT", "/ops/api/items/"+path, mug, 200)
			if listed["sku"] != sku || listed["image"] != image {
				t.Fatalf("got SKU %v with image %v, want %s with %s", listed["sku"], listed["image"], sku, image)
			}
			again := strings.Replace(mug, `"title"`, `"image":"`+image+`","title"`, 1)
			if got := s.staff(t, "PUT", "/ops/api/items/"+path, again, 200); got["changed"] != false {
				t.Errorf("listing with the shown image: got %v, want no change", got)
			}
			if got := s.staff(t, "POST", "/ops/api/stock/"+path+"/adjustments", `{"delta":-1,"reason":"damaged"}`, 200); got["on_hand"] != 6.0 {
				t.Errorf("adjusted: got %v, want 6 on hand", got)
			}
			orderID := fmt.Sprintf("o-%x", sku[:min(len(sku), 16)])
			s.appendOrder(t, orderID, events.OrderPlaced{OrderID: orderID, Lines: lines(2, sku)})
			s.awaitState(t, orderID, inventory.StateHeld)
			if got := s.staff(t, "GET", "/ops/api/stock/"+path, "", 200); got["sku"] != sku || got["held"] != 2.0 {
				t.Errorf("stock: got %v, want 2 of %s held", got, sku)
			}
			s.wait(t, "the catalogue has 4 of "+sku, func() bool {
				w := s.request(t, "GET", "/api/items/"+path, "")
				return w.Code == 200 && decoded(t, w)["sku"] == sku && decoded(t, w)["available"] == 4.0
			})
		})
	}
}

func TestStaffAdjustStock(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 5)
	s.appendOrder(t, "o1", events.OrderPlaced{OrderID: "o1", Lines: lines(2, "A")})
	s.awaitState(t, "o1", inventory.StateHeld)
	const path = "/ops/api/stock/A/adjustments"
	if got := s.staff(t, "POST", path, `{"delta":-1,"reason":"damaged"}`, 200); got["on_hand"] != 4.0 || got["available"] != 2.0 || got["held"] != 2.0 {
		t.Fatalf("after delta: got %v, want 4 on hand, 2 available, 2 held", got)
	}
	if got := s.staff(t, "POST", path, `{"count":2,"reason":"counted"}`, 200); got["on_hand"] != 2.0 || got["available"] != 0.0 {
		t.Fatalf("after count: got %v, want 2 on hand, 0 available", got)
	}
	s.staff(t, "POST", path, `{"delta":-1,"reason":"damaged"}`, 409)
	s.staff(t, "POST", path, `{"delta":1000000000,"reason":"received"}`, 409)
	for _, bad := range []string{`{"reason":"x"}`, `{"delta":1,"count":1,"reason":"x"}`, `{"delta":0,"reason":"x"}`, `{"delta":1,"reason":""}`,
		`{"delta":1}`, `{"delta":1.5,"reason":"x"}`, `{"count":-1,"reason":"x"}`, `{"count":1000000001,"reason":"x"}`, `{"delta":1,"reason":"x","by":"me"}`} {
		s.staff(t, "POST", path, bad, 422)
	}
	s.staff(t, "POST", "/ops/api/stock/TYPO/adjustments", `{"delta":1,"reason":"x"}`, 404)
	s.staff(t, "POST", "/ops/api/stock/a.b/adjustments", `{"delta":1,"reason":"x"}`, 404)
	s.staff(t, "POST", "/ops/api/stock/A%20/adjustments", `{"delta":1,"reason":"x"}`, 400)
	if got := s.level(t, "A"); got != (events.StockLevel{OnHand: 2, Held: 2}) {
		t.Fatalf("level after the refusals: got %+v, want 2 on hand, 2 held", got)
	}
}

func TestARefusedListingNamesTheField(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "HELD", 2)
	s.appendOrder(t, "o1", events.OrderPlaced{OrderID: "o1", Lines: lines(2, "HELD")})
	s.awaitState(t, "o1", inventory.StateHeld)
	const price = `"price":{"amount":1,"currency":"GBP"}`
	table := []struct {
		sku, body string
		status    int
		want      string // part of the answer
	}{
		{"A", `{"title":"",` + price + `}`, 422, "body.title"},
		{"A", `{"title":"  ",` + price + `}`, 422, "body.title"},
		{"A", `{"title":"a\u0000b",` + price + `}`, 422, "body.title"},
		{"A", `{"title":"` + strings.Repeat("x", 201) + `",` + price + `}`, 422, "body.title"},
		{"A", `{"title":"x","price":{"amount":0,"currency":"GBP"}}`, 422, "body.price.amount"},
		{"A", `{"title":"x","price":{"amount":-1,"currency":"GBP"}}`, 422, "body.price.amount"},
		{"A", `{"title":"x","price":{"amount":100000000,"currency":"GBP"}}`, 422, "body.price.amount"},
		{"A", `{"title":"x","price":{"amount":1,"currency":"gbp"}}`, 422, "body.price.currency"},
		{"A", `{"title":"x","price":{"amount":5124,"currency":"KWD"}}`, 422, "body.price.amount"},
		{"A", `{"title":"x","price":{"amount":101050,"currency":"ISK"}}`, 422, "body.price.amount"},
		{"A", `{"title":"x","image":"javascript:alert(1)",` + price + `}`, 422, "body.image"},
		{"A", `{"title":"x","image":"//evil.example/x.svg",` + price + `}`, 422, "body.image"},
		{"A", `{"title":"x","tags":[""],` + price + `}`, 422, "body.tags[0]"},
		{"A", `{"title":"x","on_hand":-1,` + price + `}`, 422, "body.on_hand"},
		{"A", `{"title":"x","on_hand":1000000001,` + price + `}`, 422, "body.on_hand"},
		{"A", `{"title":"x"}`, 422, "body"},
		{"A", `{"title":"x","nonsense":1,` + price + `}`, 422, "body.nonsense"},
		{"A", `{"title":`, 400, ""},
		{"A", `{"title":"` + strings.Repeat("x", 65<<10) + `",` + price + `}`, 413, ""},
		{"A%20", `{"title":"x",` + price + `}`, 400, "path.sku"},
		{"A%0AB", `{"title":"x",` + price + `}`, 400, "1 to 64 printable characters"},
		{"%FF", `{"title":"x",` + price + `}`, 400, "path.sku"},
		{strings.Repeat("%C3%B6", 65), `{"title":"x",` + price + `}`, 400, "path.sku"},
		{strings.Repeat("x", 5000), `{"title":"x",` + price + `}`, 400, "path.sku"},
		{"HELD", `{"title":"x","on_hand":1,` + price + `}`, 409, "held"},
	}
	for i, row := range table {
		got := s.staff(t, "PUT", "/ops/api/items/"+row.sku, row.body, row.status)
		if text := fmt.Sprint(got); !strings.Contains(text, row.want) || len(text) > 2000 {
			t.Errorf("row %d: got %.300v, want %s in it", i, got, row.want)
		}
	}
	if got := s.level(t, "HELD"); got != (events.StockLevel{OnHand: 2, Held: 2}) {
		t.Fatalf("level after the refusals: got %+v, want 2 on hand, 2 held", got)
	}
	if item, _, err := inventory.Items.Read(t.Context(), s.log, "HELD"); err != nil || item.Title != "Item HELD" {
		t.Fatalf("item after the refusals: got %+v, %v; want Item HELD", item, err)
	}
}

func TestImportListsValidItemsAndNamesTheOthers(t *testing.T) {
	t.Parallel()
	s := open(t)
	items := []string{`{"sku":"BAD\tSKU","title":"x","price":{"amount":1,"currency":"GBP"}}`, `{"sku":"FREE","title":"x","price":{"amount":0,"currency":"GBP"}}`}
	for i := range 198 {
		items = append(items, fmt.Sprintf(`{"sku":"S%d","title":"Thing %d","price":{"amount":99,"currency":"GBP"},"on_hand":%d,"reason":"import"}`, i, i, i))
	}
	body := `{"items":[` + strings.Join(items, ",") + `]}`
	results := s.staff(t, "POST", "/ops/api/items", body, 200)["results"].([]any)
	if len(results) != 200 {
		t.Fatalf("got %d results, want 200", len(results))
	}
	for i, r := range results {
		result := r.(map[string]any)
		if refused := result["error"] != nil; refused != (i < 2) || result["changed"] == refused {
			t.Fatalf("result %d: got %v, want only the first two refused", i, result)
		}
	}
	if got := s.level(t, "S197"); got.OnHand != 197 {
		t.Fatalf("got level %+v, want 197 on hand", got)
	}
	before := s.messages(t)
	s.staff(t, "POST", "/ops/api/items", body, 200)
	if after := s.messages(t); after != before {
		t.Fatalf("the same import again: got %d events, want %d", after, before)
	}
	s.staff(t, "POST", "/ops/api/items", `{"items":[]}`, 422)
	s.staff(t, "POST", "/ops/api/items", `{"items":[`+strings.Join(append(items, items[9]), ",")+`]}`, 422)
}

func TestStaffRoutesRequireACredential(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.stock(t, "A", 1)
	for _, token := range []string{"", "Bearer ", "Bearer wrong", staffToken, "Basic " + staffToken} {
		for _, request := range [][3]string{{"PUT", "/ops/api/items/A", mug}, {"POST", "/ops/api/items", `{"items":`}, {"GET", "/ops/api/stock/A", ""},
			{"POST", "/ops/api/stock/A/adjustments", `{"delta":1,"reason":"x"}`}} {
			w := s.request(t, request[0], request[1], request[2], "Authorization", token)
			if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s with %q: got %d %v, want 401", request[0], request[1], token, w.Code, w.Header())
			}
		}
	}
	if got := s.level(t, "A"); got.OnHand != 1 {
		t.Fatalf("got level %+v, want 1 on hand", got)
	}
}

func TestCatalogueRoutesRefuseInvalidRequests(t *testing.T) {
	t.Parallel()
	s := open(t)
	for path, status := range map[string]int{
		"/api/items/NONE": 404, "/api/items/a.b": 404, "/api/items/%2A": 404, "/api/items/%3E": 404, "/api/items/%20A": 400, "/api/items/%0A": 400,
		"/api/items/%FF": 400, "/api/items/" + strings.Repeat("x", 5000): 400,
		"/api/items?cursor=%21": 400, "/api/items?cursor=AQ": 400, "/api/items?cursor=eA": 400, "/api/items?limit=0": 422, "/api/items?limit=101": 422,
		"/api/items?limit=x": 422, "/api/items?q=" + strings.Repeat("x", 201): 422, "/ops/api/stock/NONE": 401,
	} {
		if w := s.request(t, "GET", path, ""); w.Code != status || w.Header().Get("Content-Type") != "application/problem+json" || w.Body.Len() > 1000 {
			t.Errorf("%.60s: got %d %s, want %d", path, w.Code, w.Body, status)
		}
	}
}

// A process that stops answers the requests that it cannot finish with 503 and Retry-After.
func TestACancelledRequestIsAnsweredWithRetryAfter(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.staff(t, "PUT", "/ops/api/items/MUG-1", mug, 200)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for route, body := range map[string]string{"GET /ops/api/stock/MUG-1": "", "PUT /ops/api/items/MUG-1": mug,
		"POST /ops/api/items":                   `{"items":[{"sku":"MUG-2","title":"Mug","price":{"amount":850,"currency":"GBP"}}]}`,
		"POST /ops/api/stock/MUG-1/adjustments": `{"delta":1,"reason":"found one"}`} {
		method, path, _ := strings.Cut(route, " ")
		r := newRequest(method, path, body).WithContext(stopped)
		r.Header.Set("Authorization", "Bearer "+staffToken)
		w := httptest.NewRecorder()
		s.http.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: got %d %v %s, want 503 with Retry-After", route, w.Code, w.Header(), w.Body)
		}
	}
}
