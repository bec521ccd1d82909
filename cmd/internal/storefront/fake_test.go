package storefront_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"tillstream/cmd/internal/storefront"
	"tillstream/events"
)

const (
	orderID = "0190f3a1-7c1e-7aaa-8bbb-0123456789ab"
	secret  = "token-of-this-order"
)

// api is a fake of the domains' API. Tests of pages set the state of the order themselves.
type api struct {
	mu       sync.Mutex
	items    []map[string]any
	order    map[string]any
	payment  map[string]any
	changed  chan struct{} // closed and replaced at every change
	refusals []string      // problem bodies of the next posts, in order
	keys     []string      // Idempotency-Key of each post, in order
	bodies   []string
	noStream bool // answer /events with 503
	halves   int  // number of answers, to posts and about the payment, that still break off in the middle
	streams  int  // number of streams that were opened
	cut      chan struct{}
}

func gbp(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }

func newAPI() *api {
	return &api{
		changed: make(chan struct{}), cut: make(chan struct{}),
		items: []map[string]any{
			{"sku": "MUG-01", "title": "Stoneware mug, ember glaze", "price": gbp(1250), "available": 12, "image": "",
				"tags": []string{"mug", "kitchen"}, "description": "Thrown by hand and glazed twice. Holds 300 ml and keeps warm."},
			{"sku": "LAMP-02", "title": "Reading lamp in brass", "price": gbp(6400), "available": 3, "tags": []string{"lamp"}},
			{"sku": "THROW-03", "title": "Lambswool throw with a rather long name that wraps", "price": gbp(8900), "available": 0, "tags": []string{"throw"}},
			{"sku": "EVIL-04", "title": `<script>alert("x")</script>`, "price": gbp(100), "available": 9,
				"tags": []string{`"><img src=x onerror=alert(1)>`}, "description": "</p><script>alert(2)</script>"},
			{"sku": "TEAPOT-05", "title": "Cast iron teapot", "price": gbp(4200), "available": 7, "tags": []string{"teapot"}},
			{"sku": "PLANT-06", "title": "Fern in a clay pot", "price": gbp(1899), "available": 22, "tags": []string{"plant"}},
			{"sku": "BAG-07", "title": "Canvas tote bag", "price": gbp(1600), "available": 40, "tags": []string{"bag"}},
			{"sku": "BOOK-08", "title": "Dotted notebook, A5", "price": gbp(950), "available": 5, "tags": []string{"notebook"}},
		},
	}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/items", a.list)
	mux.HandleFunc("GET /api/items/{sku}", a.one)
	mux.HandleFunc("POST /api/orders", a.place)
	mux.HandleFunc("GET /api/orders/{id}", a.guarded(func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, a.current()) }))
	mux.HandleFunc("GET /api/orders/{id}/events", a.guarded(a.stream))
	mux.HandleFunc("POST /api/orders/{id}/cancel", a.guarded(func(w http.ResponseWriter, _ *http.Request) {
		a.set("cancelled", map[string]any{"reason": map[string]any{"code": "cancelled", "message": "The order was cancelled."}})
		answer(w, 200, a.current())
	}))
	mux.HandleFunc("GET /api/orders/{id}/payment", a.guarded(a.showPayment))
	mux.HandleFunc("POST /webhooks/stripe", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "hooked") })
	mux.ServeHTTP(w, r)
}

func answer(w http.ResponseWriter, status int, body any) {
	kind := "application/json"
	if status >= 400 {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	if text, ok := body.(string); ok {
		fmt.Fprint(w, text)
		return
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}

// half sends headers and the beginning of a body, as a process that is killed while it answers does, if halves is above 0. It
// reports whether it sent anything. The caller holds a.mu.
func (a *api) half(w http.ResponseWriter) bool {
	if a.halves == 0 {
		return false
	}
	a.halves--
	w.Header().Set("Content-Length", "1000")
	answer(w, 200, `{"id":`)
	w.(http.Flusher).Flush()
	return true
}

func (a *api) list(w http.ResponseWriter, r *http.Request) {
	words := strings.ToLower(r.URL.Query().Get("q"))
	page := map[string]any{"items": slices.DeleteFunc(slices.Clone(a.items), func(item map[string]any) bool {
		return !strings.Contains(strings.ToLower(item["title"].(string)), words)
	})}
	switch {
	case words == "down":
		answer(w, 503, `{"title":"Service Unavailable","status":503}`)
		return
	case words == "refuse":
		answer(w, 422, `{"title":"Unprocessable Entity","status":422}`)
		return
	case words == "" && r.URL.Query().Get("cursor") == "":
		page["next_cursor"] = "c&2"
	}
	answer(w, 200, page)
}

func (a *api) one(w http.ResponseWriter, r *http.Request) {
	for _, item := range a.items {
		if item["sku"] == r.PathValue("sku") {
			answer(w, 200, item)
			return
		}
	}
	answer(w, 404, `{"title":"Not Found","status":404}`)
}

func (a *api) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != orderID || r.Header.Get("Authorization") != "Bearer "+secret {
			answer(w, 404, `{"title":"Not Found","status":404,"detail":"There is no such order."}`)
			return
		}
		next(w, r)
	}
}

// sampleOrder returns an order in the given status.
func sampleOrder(status string) map[string]any {
	return map[string]any{
		"id": orderID, "number": "8F3K2-MQD7A", "status": status, "email": "ada@example.com", "name": "Ada Lovelace", "locale": "en",
		"shipping_address": map[string]any{"line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"},
		"lines": []map[string]any{
			{"sku": "MUG-01", "title": "Stoneware mug, ember glaze", "quantity": 2, "unit_price": gbp(1250), "total": gbp(2500)},
			{"sku": "LAMP-02", "title": "Reading lamp in brass", "quantity": 1, "unit_price": gbp(6400), "total": gbp(6400)},
		},
		"subtotal": gbp(8900), "shipping": gbp(395), "tax": gbp(1549), "total": gbp(9295), "currency": "GBP",
		"placed_at": "2026-01-05T10:00:00Z", "expires_at": "2099-01-05T10:30:00Z", "access_token": secret,
	}
}

func (a *api) place(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		answer(w, 400, `{"title":"Bad Request","status":400}`)
		return
	}
	a.mu.Lock()
	a.keys = append(a.keys, r.Header.Get("Idempotency-Key"))
	a.bodies = append(a.bodies, string(body))
	if a.half(w) {
		a.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	if len(a.refusals) > 0 {
		refusal := a.refusals[0]
		a.refusals = a.refusals[1:]
		a.mu.Unlock()
		var problem struct{ Status int }
		if err := json.Unmarshal([]byte(refusal), &problem); err != nil {
			panic(err)
		}
		answer(w, problem.Status, refusal)
		return
	}
	a.mu.Unlock()
	a.set("placed", nil)
	answer(w, 201, a.current())
}

func (a *api) current() map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.order
}

// set gives the order a status and changes fields of it.
func (a *api) set(status string, fields map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.order = sampleOrder(status)
	for name, value := range fields {
		a.order[name] = value
	}
	close(a.changed)
	a.changed = make(chan struct{})
}

// cutStreams aborts all open streams, as a killed replica does.
func (a *api) cutStreams() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.cut)
	a.cut = make(chan struct{})
}

func (a *api) stream(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.streams++
	cut, refused := a.cut, a.noStream
	a.mu.Unlock()
	if refused {
		answer(w, 503, `{"title":"Service Unavailable","status":503}`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for id := 1; ; id++ {
		a.mu.Lock()
		order, changed := a.order, a.changed
		a.mu.Unlock()
		data, err := json.Marshal(order)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(w, ": beat\n\nevent: status\nid: %d\ndata: %s\n\n", id, data)
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

func (a *api) setPayment(status string, fields map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.payment = map[string]any{"status": status, "amount": 9295, "currency": "GBP", "payment_intent": "pi_1",
		"client_secret": "pi_1_secret_2", "publishable_key": "pk_test_tillstream_1"}
	for name, value := range fields {
		a.payment[name] = value
	}
}

func (a *api) showPayment(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.half(w) {
		panic(http.ErrAbortHandler)
	}
	answer(w, 200, a.payment)
}

// posts returns the number of posted orders and of distinct keys.
func (a *api) posts() (count, keys int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	distinct := slices.Clone(a.keys)
	slices.Sort(distinct)
	return len(a.keys), len(slices.Compact(distinct))
}

// openShop serves a storefront.
func openShop(t *testing.T, config storefront.Config) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(newShop(t, config))
	t.Cleanup(server.Close)
	return server
}

// startBank runs a fake of the payment provider, which answers by the card number.
func startBank(t *testing.T, a *api) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/payment_intents/pi_1/confirm", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization")
		if r.Method == http.MethodOptions {
			return
		}
		form := func(name string) string { return r.FormValue("payment_method_data[card][" + name + "]") }
		if r.Header.Get("Authorization") != "Bearer pk_test_tillstream_1" || r.FormValue("client_secret") != "pi_1_secret_2" ||
			form("exp_month") != "12" || len(form("exp_year")) != 4 || form("cvc") != "123" {
			answer(w, 401, `{"error":{"message":"unexpected request"}}`)
			return
		}
		switch form("number") {
		case "4242424242424242":
			answer(w, 200, `{"status":"requires_capture"}`)
		case "4000000000009995":
			answer(w, 402, `{"error":{"code":"card_declined","decline_code":"insufficient_funds","message":"Your card has insufficient funds."}}`)
		case "4000002500003155":
			back := r.FormValue("return_url") + "?payment_intent=pi_1&payment_intent_client_secret=pi_1_secret_2&redirect_status=failed"
			answer(w, 200, map[string]any{"status": "requires_action", "next_action": map[string]any{"redirect_to_url": map[string]any{"url": back}}})
		default:
			answer(w, 402, `{"error":{"code":"card_declined","decline_code":"generic_decline"}}`)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}
