package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// operation is an operation of the OpenAPI document.
type operation struct {
	route    string // method and path, such as POST /api/orders/{id}/cancel
	security string // "order", "staff", or "" for everybody
	hasBody  bool
}

// operations returns all operations of the shop.
func (ts *testShop) operations(t *testing.T) (all []operation) {
	t.Helper()
	if err := apiContract.load(ts.openAPI); err != nil {
		t.Fatal(err)
	}
	for path, methods := range apiContract.document["paths"].(map[string]any) {
		for method, described := range methods.(map[string]any) {
			o := operation{route: strings.ToUpper(method) + " " + path}
			fields := described.(map[string]any)
			_, o.hasBody = fields["requestBody"]
			if schemes, _ := fields["security"].([]any); len(schemes) == 1 { // with several, one of which is empty, guests may call it
				for scheme := range schemes[0].(map[string]any) {
					o.security = scheme
				}
			}
			all = append(all, o)
		}
	}
	if len(all) < 10 {
		t.Fatalf("got operations %v, want at least 10", all)
	}
	return all
}

// at returns the route with its parameter replaced.
func (o operation) at(id string) string {
	before, rest, found := strings.Cut(o.route, "{")
	if !found {
		return o.route
	}
	_, after, _ := strings.Cut(rest, "}")
	return before + url.PathEscape(id) + after
}

// API1, API2 and API5 of the OWASP API Top 10: every route with the id of an order is not found with any other token than the
// order's, and every route of staff refuses every token but a valid API key, also those that look like one.
func TestEveryRouteNeedsItsToken(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	mine, theirs := ts.place(t, cart("mia", line{"MUG", 1})), ts.place(t, cart("theo", line{"MUG", 1}))
	const unsigned = "eyJhbGciOiJub25lIn0.eyJyb2xlIjoib3BzIn0."
	tested := map[string]int{}
	for _, o := range ts.operations(t) {
		tokens, id, want := []string{"", theirs.AccessToken, ts.OpsKey, unsigned}, mine.ID, http.StatusNotFound
		if o.security == "staff" {
			tokens, id, want = []string{"", mine.AccessToken, ts.OpsKey + "A", ts.OpsKey[:20], unsigned}, "MUG", http.StatusUnauthorized
		}
		if o.security == "" {
			if strings.Contains(o.route, "/ops/") || strings.Contains(o.route, "/orders/{") {
				t.Errorf("%s: everybody may call it", o.route)
			}
			continue
		}
		tested[o.security]++
		for _, token := range tokens {
			a := ts.ask(t, o.at(id), "", token, "")
			if a.Status != want {
				t.Errorf("%s with token %.30q: got %d, want %d", o.route, token, a.Status, want)
			}
			isProblem(t, a)
		}
	}
	if tested["order"] < 4 || tested["staff"] < 5 {
		t.Errorf("tested %v routes, want at least 4 of an order and 5 of staff", tested)
	}
	ts.settle(t, mine)
}

// Each listener serves its own routes: those of staff are not at the origin of shoppers, even with a valid API key, and those of shoppers
// are not at the origin of staff, which asks strangers to sign in.
func TestEachListenerServesItsOwnRoutes(t *testing.T) {
	ts := startShop(t, nil)
	for _, o := range ts.operations(t) {
		method, path, _ := strings.Cut(o.at("MUG"), " ")
		other, want := ts.Ops, http.StatusSeeOther
		if strings.HasPrefix(path, "/ops/") {
			other, want = ts.Storefront, http.StatusNotFound
		}
		r := ts.request(t, method, path, ts.OpsKey, nil)
		r.URL.Host = strings.TrimPrefix(other, "http://")
		answer, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil || answer.StatusCode != want {
			t.Errorf("%s at %s: got %d, %v; want %d", o.route, other, answer.StatusCode, err, want)
		}
	}
}

// API3 of the OWASP API Top 10: a shopper cannot set what the shop decides.
func TestShoppersCannotSetWhatTheShopDecides(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	for _, field := range []string{`"id":"o1"`, `"number":"1"`, `"status":"confirmed"`, `"payment_status":"paid"`, `"fulfilment_status":"unfulfilled"`,
		`"total":{"amount":1,"currency":"GBP"}`, `"subtotal":{"amount":1,"currency":"GBP"}`, `"shipping":{"amount":0,"currency":"GBP"}`, `"currency":"JPY"`,
		`"access_token":"t"`, `"expires_at":"2099-01-01T00:00:00Z"`, `"customer":"c1"`, `"actor":"ops"`, `"hold_for":"99h"`} {
		refuses(t, ts, refusal{field, goodBody[:len(goodBody)-1] + "," + field + "}", unprocessable, "unexpected property"})
	}
	for _, field := range []string{`"price":1`, `"unit_price":{"amount":1,"currency":"GBP"}`, `"title":"free"`, `"total":0`} {
		refuses(t, ts, refusal{field, altered(`"quantity":1`, `"quantity":1,`+field), unprocessable, "unexpected property"})
	}
	if n := ts.placedBy(t, "ada@example.com"); n != 0 {
		t.Errorf("%d orders were placed, want 0", n)
	}
}

// API4 of the OWASP API Top 10: every body has a limit, also one that does not announce its size.
func TestEveryBodyIsLimited(t *testing.T) {
	ts := startShop(t, nil)
	large := strings.Repeat(" ", 2<<20)
	for _, o := range ts.operations(t) {
		if !o.hasBody {
			continue
		}
		method, path, _ := strings.Cut(o.at("MUG"), " ")
		for _, length := range []int64{int64(len(large)), -1} {
			r := ts.request(t, method, path, ts.OpsKey, strings.NewReader(large))
			r.ContentLength = length
			if a := ts.send(t, r); a.Status != http.StatusRequestEntityTooLarge {
				t.Errorf("%s with 2 MiB, length %d: got %d, want 413", o.route, length, a.Status)
			}
		}
	}
}

// API8 of the OWASP API Top 10: a page of another site can send these types, or none, on behalf of its visitors.
func TestEveryBodyMustBeJSON(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 10)
	for _, o := range ts.operations(t) {
		if !o.hasBody {
			continue
		}
		method, path, _ := strings.Cut(o.at("MUG"), " ")
		for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
			r := ts.request(t, method, path, ts.OpsKey, strings.NewReader(goodBody))
			if r.Header.Set("Content-Type", kind); kind == "" {
				r.Header.Del("Content-Type")
			}
			if a := ts.send(t, r); a.Status != http.StatusUnsupportedMediaType {
				t.Errorf("%s as %q: got %d, want 415", o.route, kind, a.Status)
			}
		}
	}
	r, err := http.NewRequest(http.MethodPost, ts.Stripe+"/v1/payment_intents", strings.NewReader("amount=1&currency=gbp"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	if a := ts.send(t, r); a.Status != http.StatusBadRequest {
		t.Errorf("the sandbox, as text/plain: got %d, want 400", a.Status)
	}
	if n := ts.placedBy(t, "ada@example.com"); n != 0 {
		t.Errorf("%d orders were placed, want 0", n)
	}
}

// API8 of the OWASP API Top 10: no cache stores what is of one shopper or of staff, no browser guesses the type of an answer, and
// behind TLS browsers use nothing else.
func TestAnswersAreKeptPrivate(t *testing.T) {
	ts := startShop(t, func(c *Config) { c.PublicURL, c.OpsURL = "https://shop.example.com", "https://ops.example.com" })
	ts.list(t, "MUG", 1250, 10)
	o := ts.place(t, cart("mia", line{"MUG", 1}))
	ts.checkout(t, o)
	isPrivate := func(what string, header http.Header) {
		if header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" ||
			header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: got headers %v, want no-store, nosniff and HSTS", what, header)
		}
	}
	for path, token := range map[string]string{"/api/orders/" + o.ID: o.AccessToken, "/api/orders/" + o.ID + "/payment": o.AccessToken,
		"/ops/api/orders": ts.OpsKey, "/ops/api/stock/MUG": ts.OpsKey, "/ops/api/notifications/" + o.ID: ts.OpsKey,
		"/api/orders/none": "", "/ops/api/items/x": "", "/api/nothing": "", "/api/items?limit=0": "", "/orders/" + o.ID: "", "/orders/@": "", "/checkout": "",
		"/mail": "", "/mail/messages": "", "/readyz": "", "/api/items": ""} {
		isPrivate(path, ts.get(t, path, token).Header)
	}
	isPrivate("place", ts.post(t, cart("theo", line{"MUG", 1}), "").Header)
	isPrivate("refuse", ts.post(t, placement{}, "").Header)
	isPrivate("cancel", ts.cancel(t, ts.place(t, cart("cleo", line{"MUG", 1}))).Header)
	stream, err := ts.http.Do(ts.request(t, http.MethodGet, "/api/orders/"+o.ID+"/events", o.AccessToken, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	isPrivate("event stream", stream.Header)
	ts.settle(t, o)
}

// API9 of the OWASP API Top 10: the OpenAPI document describes every route of the API. The metrics list the routes of the program.
func TestEveryRouteIsDocumented(t *testing.T) {
	ts := startShop(t, nil)
	documented := []string{}
	for _, o := range ts.operations(t) {
		documented = append(documented, o.route)
	}
	found := 0
	lines := bufio.NewScanner(strings.NewReader(string(ts.get(t, "/metrics", "").Body)))
	for lines.Scan() {
		route, isRoute := strings.CutPrefix(lines.Text(), `tillstream_http_request_seconds_count{route="`)
		route, _, _ = strings.Cut(route, `"}`)
		if !isRoute || route == "" || slices.Contains([]string{"GET /healthz", "GET /readyz", "GET /metrics"}, route) {
			continue
		}
		if found++; !slices.Contains(documented, route) {
			t.Errorf("%s is not in the OpenAPI document", route)
		}
	}
	if found < len(documented) {
		t.Errorf("got %d routes in the metrics, want the %d documented ones", found, len(documented))
	}
}

// API7 of the OWASP API Top 10: the shop opens no address that a request contains, neither that of a picture nor that of a webhook.
func TestAddressesInRequestsAreNotOpened(t *testing.T) {
	ts := startShop(t, nil)
	var opened atomic.Int64
	inside := httptest.NewUnstartedServer(http.NotFoundHandler())
	inside.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	inside.StartTLS()
	defer inside.Close()
	for _, image := range []string{"http://169.254.169.254/", "file:///etc/passwd", "gopher://127.0.0.1:1", "//127.0.0.1/", "javascript:alert(1)"} {
		body := fmt.Sprintf(`{"title":"x","price":{"amount":1250,"currency":"GBP"},"image":%q}`, image)
		if a := ts.ask(t, "PUT /ops/api/items/ID", "CUP", ts.OpsKey, body); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("image %s: got %d, want 422", image, a.Status)
		}
	}
	body := fmt.Sprintf(`{"title":"Mug","price":{"amount":1250,"currency":"GBP"},"on_hand":9,"image":%q}`, inside.URL+"/mug.png")
	if a := ts.ask(t, "PUT /ops/api/items/ID", "MUG", ts.OpsKey, body); a.Status != http.StatusOK {
		t.Fatalf("got %d: %s", a.Status, a.Body)
	}
	waitFor(t, "the item is for sale", func() bool { return ts.get(t, "/items/MUG", "").Status == http.StatusOK })
	for _, path := range []string{"/", "/items/MUG", "/images/items/MUG.svg?title=" + url.QueryEscape(inside.URL), "/api/items/MUG"} {
		r := ts.request(t, http.MethodGet, path, "", nil)
		r.Header.Set("Referer", inside.URL)
		ts.send(t, r)
	}
	p := cart("ada", line{"MUG", 1})
	p.Address.Line2 = inside.URL
	ts.buy(t, p)
	ts.mailed(t, "ada@example.com", 1)
	if n := opened.Load(); n != 0 {
		t.Errorf("the shop opened %d connections to an address from requests, want 0", n)
	}
}
