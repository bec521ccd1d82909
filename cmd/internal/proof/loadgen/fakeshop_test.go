package loadgen_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
)

// fakeShop is a server with the APIs of a shop and of Stripe: one order per Idempotency-Key, confirmed as soon as it is paid.
// A test may intercept requests and answer them itself.
type fakeShop struct {
	server    *httptest.Server
	intercept func(w http.ResponseWriter, r *http.Request) (answered bool)

	mu        sync.Mutex
	byKey     map[string]string        // order id by Idempotency-Key
	bodies    map[string]string        // request body by order id
	paid      map[string]chan struct{} // closed when the order is paid or cancelled, by id
	gone      map[string]bool          // cancelled orders, by id
	requested map[string]int           // requests by method and path
	adjusts   []string                 // stock adjustments, as text
	stripe    fakeStripe
}

func newFakeShop(t *testing.T) *fakeShop {
	t.Helper()
	f := &fakeShop{byKey: map[string]string{}, bodies: map[string]string{}, paid: map[string]chan struct{}{}, gone: map[string]bool{}, requested: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/items", f.items)
	mux.HandleFunc("POST /api/orders", f.place)
	mux.HandleFunc("GET /api/orders/{id}", f.show)
	mux.HandleFunc("GET /api/orders/{id}/events", f.events)
	mux.HandleFunc("GET /api/orders/{id}/payment", f.payment)
	mux.HandleFunc("POST /api/orders/{id}/cancel", f.cancel)
	mux.HandleFunc("POST /v1/payment_intents/{pi}/confirm", f.confirm)
	mux.HandleFunc("POST /ops/api/stock/{sku}/adjustments", f.adjust)
	f.stripeRoutes(mux)
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requested[r.Method+" "+r.URL.Path]++
		f.mu.Unlock()
		if f.intercept == nil || !f.intercept(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeShop) buyer(t *testing.T, patient bool) *loadgen.Buyer {
	t.Helper()
	shop := loadgen.NewShop(loadgen.Addresses{Storefront: f.server.URL, Stripe: f.server.URL + "/", Ops: f.server.URL, OpsKey: "staff"}, 4, patient)
	return &loadgen.Buyer{Shop: shop, Timeout: 10 * time.Second}
}

func (f *fakeShop) placed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.bodies)
}

func (f *fakeShop) requests(methodAndPath string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requested[methodAndPath]
}

func (f *fakeShop) items(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("cursor") == "" {
		fmt.Fprint(w, `{"items":[{"sku":"MUG","price":{"amount":100,"currency":"GBP"},"available":5}],"next_cursor":"a+b"}`)
		return
	}
	fmt.Fprintf(w, `{"items":[{"sku":%q,"price":{"amount":250,"currency":"GBP"},"available":0}]}`, "after-"+r.URL.Query().Get("cursor"))
}

func (f *fakeShop) place(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	id, known := f.byKey[key]
	if !known {
		id = "order-" + key
		f.byKey[key], f.bodies[id], f.paid[id] = id, string(body), make(chan struct{})
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id":%q,"number":"N","status":"placed","access_token":"token-%[1]s","subtotal":{"amount":200,"currency":"GBP"},"total":{"amount":250,"currency":"GBP"}}`, id)
}

// order returns the order of a request, and refuses a request without its token.
func (f *fakeShop) order(w http.ResponseWriter, r *http.Request) (id string, paid chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id = r.PathValue("id")
	if r.Header.Get("Authorization") != "Bearer token-"+id {
		problem(w, http.StatusNotFound, "no such order")
		return "", nil
	}
	return id, f.paid[id]
}

func statusOf(paid chan struct{}) string {
	select {
	case <-paid:
		return "confirmed"
	default:
		return "awaiting_payment"
	}
}

func (f *fakeShop) show(w http.ResponseWriter, r *http.Request) {
	if id, paid := f.order(w, r); id != "" {
		fmt.Fprintf(w, `{"id":%q,"status":%q}`, id, statusOf(paid))
	}
}

func (f *fakeShop) events(w http.ResponseWriter, r *http.Request) {
	id, paid := f.order(w, r)
	if id == "" {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, ": hello\n\nevent: status\nid: 1\ndata: {\"id\":%q,\ndata:\"status\":\"awaiting_payment\"}\n\n", id)
	w.(http.Flusher).Flush()
	select {
	case <-paid:
		f.mu.Lock()
		end := "confirmed"
		if f.gone[id] {
			end = "cancelled"
		}
		f.mu.Unlock()
		fmt.Fprintf(w, "event: status\nid: 2\ndata: {\"status\":%q}\n\n", end)
		w.(http.Flusher).Flush()
	case <-r.Context().Done():
		return
	}
	<-r.Context().Done()
}

func (f *fakeShop) payment(w http.ResponseWriter, r *http.Request) {
	if id, _ := f.order(w, r); id != "" {
		fmt.Fprintf(w, `{"status":"intent_created","amount":250,"currency":"GBP","payment_intent":"pi_%s","client_secret":"secret-%[1]s","publishable_key":"pk_told"}`, id)
	}
}

func (f *fakeShop) confirm(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.PathValue("pi"), "pi_")
	if r.FormValue("payment_method") == "pm_card_visa_chargeDeclined" {
		w.WriteHeader(http.StatusPaymentRequired)
		fmt.Fprint(w, `{"error":{"type":"card_error","code":"card_declined","message":"Your card was declined."}}`)
		return
	}
	if r.FormValue("payment_method") == "pm_card_threeDSecure2Required" {
		fmt.Fprintf(w, `{"status":"requires_action","next_action":{"type":"use_stripe_sdk","use_stripe_sdk":{"url":%q}}}`, f.server.URL+"/3ds/pi_"+id)
		return
	}
	if r.Header.Get("Authorization") != "Bearer pk_told" || r.FormValue("client_secret") != "secret-"+id || r.FormValue("payment_method") != "pm_card_visa" {
		problem(w, http.StatusUnauthorized, "wrong key, secret or card")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if statusOf(f.paid[id]) == "confirmed" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"type":"invalid_request_error","code":"payment_intent_unexpected_state","message":"already paid"}}`)
		return
	}
	close(f.paid[id])
	fmt.Fprint(w, `{"id":"pi","status":"requires_capture"}`)
}

func (f *fakeShop) cancel(w http.ResponseWriter, r *http.Request) {
	id, paid := f.order(w, r)
	if id == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if statusOf(paid) == "confirmed" && !f.gone[id] {
		problem(w, http.StatusConflict, "too late")
		return
	}
	if !f.gone[id] {
		f.gone[id] = true
		close(paid)
	}
	fmt.Fprintf(w, `{"id":%q,"status":"cancelled"}`, id)
}

func (f *fakeShop) adjust(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Delta  int64
		Reason string
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Authorization") != "Bearer staff" {
		problem(w, http.StatusUnauthorized, "staff only")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.adjusts = append(f.adjusts, fmt.Sprintf("%s %+d %s", r.PathValue("sku"), body.Delta, body.Reason))
	fmt.Fprint(w, `{"sku":"x","on_hand":1}`)
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"title":%q,"status":%d,"detail":%q,"errors":[{"message":"look here","location":"body.email","value":1}]}`, http.StatusText(status), status, detail)
}

// hangUp closes the connection without an answer, as the end of a process does.
func hangUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // the client sees a reset
	}
	_ = conn.Close()
}

func TestReceiveCoversShortfall(t *testing.T) {
	t.Parallel()
	fake := newFakeShop(t)
	shop := fake.buyer(t, false).Shop
	items, err := shop.Items(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != 2 || items[1].SKU != "after-a+b" || items[0].Available != 5 || items[0].Price.Amount != 100 {
		t.Fatalf("got items %+v, want both pages", items)
	}
	missing := loadgen.Shortfall(map[string]int64{"MUG": 5, "after-a+b": 3, "unlisted": 9}, items)
	if diff := cmp.Diff([]loadgen.Line{{SKU: "after-a+b", Quantity: 3}}, missing); diff != "" {
		t.Errorf("shortfall (-want +got):\n%s", diff)
	}
	if err := shop.Receive(t.Context(), missing); err != nil || !shop.CanReceive() {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"after-a+b +3 received"}, fake.adjusts); diff != "" {
		t.Errorf("adjustments (-want +got):\n%s", diff)
	}
}
