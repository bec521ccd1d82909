package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	"tillstream/events/replay"
)

// hostileText is text that must stay text everywhere.
const hostileText = `<img src=x onerror=alert(1)>"'&{{.}}`

// orderAPI takes the place of the staff API: it lists the given orders and records the last request.
type orderAPI struct {
	list orderList
	last *http.Request
	body map[string]string
}

// ServeHTTP implements http.Handler.
func (a *orderAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.last = r
	if r.Method == http.MethodPost {
		_ = json.NewDecoder(r.Body).Decode(&a.body)
		_ = json.NewEncoder(w).Encode(map[string]any{"number": "4XRJK-QYW5E"})
		return
	}
	_ = json.NewEncoder(w).Encode(a.list)
}

const orderID = "0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b10"

func listed(id string) listedOrder {
	return listedOrder{ID: id, Number: "4XRJK-QYW5E", Status: "confirmed", Payment: "paid", Fulfilment: "unfulfilled", Email: "ada@example.com",
		Name: hostileText, Place: "London " + hostileText, Total: events.Money{Amount: 4395, Currency: "GBP"}, PlacedAt: time.Now().Add(-time.Hour)}
}

// openOrders starts a console with an order in the log that has hostile text in every field.
func openOrders(t *testing.T) (*world, *orderAPI) {
	t.Helper()
	api := &orderAPI{list: orderList{Orders: []listedOrder{listed(orderID), listed("0197e3a0-5c3b-7d1e-9a55-2f1c8f6f2b11")}, Total: 2}}
	w := open(t, func(c *Config) { c.API = api })
	w.story()
	return w, api
}

// story appends the events of an order that is declined once, paid and confirmed, with a mail that fails two days later.
func (w *world) story() {
	gbp := func(amount int64) events.Money { return events.Money{Amount: amount, Currency: "GBP"} }
	payment := events.FirstPaymentID(orderID)
	begin := time.Now().Add(-49 * time.Hour)
	add := func(id, subject, cause, actor string, after time.Duration, payload events.Payload) {
		w.publish(events.Event{ID: id, Subject: subject, CausationID: cause, Actor: actor, CorrelationID: orderID, Time: begin.Add(after), Payload: payload})
	}
	order, stock, reservation, pay := "orders."+orderID, "inventory.stock.main.MUG", "inventory.reservations."+orderID, "payments."+payment
	ms := time.Millisecond
	add("e1", order, "", "guest", 0, events.OrderPlaced{OrderID: orderID, Number: "4XRJK-QYW5E", Customer: events.Customer{Name: hostileText, Email: "ada@example.com", Locale: "en"},
		ShipTo: events.Address{Line1: hostileText, Line2: hostileText, City: hostileText, PostalCode: hostileText, Country: "GB"},
		Lines:  []events.OrderLine{{SKU: "MUG", Title: hostileText, Quantity: 2, UnitPrice: gbp(1250), Total: gbp(2500)}}, Subtotal: gbp(2500), Shipping: gbp(495), Tax: gbp(0), Total: gbp(2995), ExpiresAt: begin.Add(time.Hour)})
	add("e2", stock, "e1", "", 5*ms, events.StockHeld{StockMovement: events.StockMovement{SKU: "MUG", OrderID: orderID, Quantity: 2}})
	add("e3", reservation, "e1", "", 5*ms, events.ReservationHeld{OrderID: orderID})
	add("e4", order, "e3", "", 6*ms, events.OrderAwaitingPayment{OrderID: orderID, PaymentID: payment, Amount: gbp(2995), ExpiresAt: begin.Add(time.Hour)})
	add("e5", pay, "e4", "", 6*ms, events.PaymentRequested{OrderID: orderID, PaymentID: payment, Amount: gbp(2995), ExpiresAt: begin.Add(time.Hour)})
	add("e6", pay, "e5", "", 120*ms, events.PaymentIntentCreated{OrderID: orderID, PaymentID: payment, PaymentIntent: "pi_3PqZ0a2eZvKYlo2C1", Amount: gbp(2995)})
	add("e7", pay, "e6", "stripe", 9*time.Second, events.PaymentDeclined{OrderID: orderID, PaymentID: payment, PaymentIntent: "pi_3PqZ0a2eZvKYlo2C1", Fact: "ch_1", Code: "card_declined", Message: hostileText})
	add("e8", pay, "e6", "stripe", 4*time.Minute, events.PaymentCaptured{OrderID: orderID, PaymentID: payment, PaymentIntent: "pi_3PqZ0a2eZvKYlo2C1", Charge: "ch_2", Amount: gbp(2995)})
	add("e9", order, "e8", "", 4*time.Minute+9*ms, events.OrderConfirmed{OrderOutcome: events.OrderOutcome{OrderID: orderID, Number: "4XRJK-QYW5E"}})
	mail, id := "notifications."+orderID, "m1@shop.example"
	add("e10", mail, "e9", "", 4*time.Minute+9*ms, events.MessageQueued{OrderID: orderID, MessageID: id, Template: "order_confirmed", Fact: "e9", Facts: []byte("{}")})
	add("e11", mail, "e10", "", 4*time.Minute+90*ms, events.MessageSending{OrderID: orderID, MessageID: id, To: "ada@example.com", Attempt: 1})
	add("e12", mail, "e11", "", 48*time.Hour, events.MessageFailed{OrderID: orderID, MessageID: id, Error: "550 " + hostileText})
}

// The page of an order shows its parcels, with a carrier that is only text, and until when the authorization can be captured.
func TestThePageOfAnOrderShowsParcelsAndTheAuthorization(t *testing.T) {
	w, _ := openOrders(t)
	id := events.FirstPaymentID("o5")
	gbp := events.Money{Amount: 2500, Currency: "GBP"}
	for n, fact := range []events.Payload{events.OrderPlaced{OrderID: "o5", Number: "8F3K2-CCCCC", Lines: []events.OrderLine{{SKU: "MUG", Quantity: 2, UnitPrice: gbp, Total: gbp}}, Total: gbp},
		events.OrderFulfilmentCreated{OrderOutcome: events.OrderOutcome{OrderID: "o5"}, FulfilmentID: "f1", Lines: []events.ReservedLine{{SKU: "MUG", Quantity: 1}}, Carrier: hostileText, Tracking: "RR1"}} {
		w.publish(events.Event{ID: fmt.Sprint("parcel-", n), Subject: events.PrefixOrder + "o5", CorrelationID: "o5", Payload: fact})
	}
	for n, fact := range []events.Payload{events.PaymentRequested{OrderID: "o5", PaymentID: id, Amount: gbp},
		events.PaymentAuthorized{OrderID: "o5", PaymentID: id, PaymentIntent: "pi_1", Amount: gbp, ExpiresAt: time.Date(2026, 12, 7, 21, 2, 0, 0, time.UTC)}} {
		w.publish(events.Event{ID: fmt.Sprint("paid-", n), Subject: events.PrefixPayment + id, CorrelationID: "o5", Payload: fact})
	}
	body := w.get("/ops/orders/o5")
	for _, part := range []string{"<code>RR1</code>: 1 × MUG</p>", "by <bdi>&lt;img", "until 7 Dec 2026 21:02"} {
		if !strings.Contains(body, part) {
			t.Errorf("got no %q on the page", part)
		}
	}
}

func TestPagesOfOrdersShowHostileTextAsText(t *testing.T) {
	w, _ := openOrders(t)
	for _, path := range []string{"/ops/orders", "/ops/orders?q=" + url.QueryEscape(hostileText), "/ops/search?q=" + url.QueryEscape(hostileText), "/ops/messages",
		"/ops/orders/" + orderID, "/ops/orders/" + orderID + "?event=1", "/ops/orders/" + orderID + "?tab=list", "/ops/orders/" + orderID + "?tab=raw"} {
		body := w.get(path)
		if strings.Contains(body, "<img") {
			t.Errorf("%s: got markup from stored text", path)
		}
		if !strings.Contains(body, "&lt;img src=x") {
			t.Errorf("%s: got no escaped text, want it shown", path)
		}
	}
}

func TestOrdersAsksTheStaffAPIForWhatTheAddressSelects(t *testing.T) {
	w, api := openOrders(t)
	api.list.Total = 120
	body := w.get("/ops/orders?view=to-ship&q=ada&page=2&sort=total")
	want := url.Values{"status": {"confirmed"}, "payment_status": {"authorized,paid,partly_refunded"}, "fulfilment_status": {"unfulfilled,partly_fulfilled"}, "q": {"ada"}, "sort": {"total"}, "limit": {"50"}, "skip": {"50"}}
	if got := api.last.URL.Query().Encode(); got != want.Encode() {
		t.Errorf("request: got %s, want %s", got, want.Encode())
	}
	if got := api.last.Header.Get("Authorization"); got != "Bearer session-of-mira" {
		t.Errorf("authorization: got %q, want the session of mira", got)
	}
	for _, part := range []string{"51–100 of 120", "ops orders --search ada --status confirmed", "page=3"} {
		if !strings.Contains(body, part) {
			t.Errorf("got no %q on the page", part)
		}
	}
}

func TestExportHasInertCells(t *testing.T) {
	w, api := openOrders(t)
	api.list.Orders[0].Name = `=HYPERLINK("https://evil.example")`
	if body := w.get("/ops/orders.csv?view=unpaid"); !strings.Contains(body, `"'=HYPERLINK(""https://evil.example"")"`) || !strings.Contains(body, "43.95,GBP,confirmed") {
		t.Errorf("got:\n%s\nwant the formula as text and the total", body)
	}
}

func TestSearchOpensTheOnlyHit(t *testing.T) {
	w, api := openOrders(t)
	for typed, c := range map[string]struct {
		orders []listedOrder
		exact  bool
		want   string
	}{
		"# 4xrjk qyw5e":                {[]listedOrder{listed(orderID)}, true, "/ops/orders/" + orderID},
		"3":                            {nil, false, "/ops/events/3"},
		events.FirstPaymentID(orderID): {nil, false, "/ops/payments/" + events.FirstPaymentID(orderID)},
	} {
		api.list = orderList{Orders: c.orders, Total: len(c.orders), Exact: c.exact}
		answer, body := w.send(w.Client, "GET", "/ops/search?q="+url.QueryEscape(typed), nil)
		if got := answer.Header.Get("Location"); got != c.want {
			t.Errorf("%q: got %s to %q, want %q\n%s", typed, answer.Status, got, c.want, body)
		}
	}
	api.list = orderList{}
	if body := w.get("/ops/search?q=nothing"); !strings.Contains(body, "Nothing found") {
		t.Error("nothing found: got no sentence that says so")
	}
}

func TestCancelNeedsAReasonAndSendsIt(t *testing.T) {
	w, api := openOrders(t)
	path := "/ops/orders/" + orderID
	if body := w.post(path+"/cancel", url.Values{"back": {path}}); !strings.Contains(body, "say why") {
		t.Error("without a reason: got no refusal")
	}
	body := w.post(path+"/cancel", url.Values{"reason": {"asked on the telephone"}})
	if !strings.Contains(body, "Order 4XRJK-QYW5E is cancelled") || api.body["reason"] != "asked on the telephone" || api.last.URL.Path != "/ops/api"+strings.TrimPrefix(path, "/ops")+"/cancel" {
		t.Errorf("got request %s with %v", api.last.URL, api.body)
	}
	answer, body := w.send(w.signIn("viewer"), "POST", path+"/cancel", url.Values{"reason": {"x"}, "back": {path}})
	if answer.StatusCode != http.StatusForbidden || !strings.Contains(body, "does not have the permission") {
		t.Errorf("a viewer: got %s, want 403", answer.Status)
	}
}

func TestRangeLeadsToTheReplay(t *testing.T) {
	w, _ := openOrders(t)
	answer, _ := w.send(w.Client, "GET", "/ops/orders/"+orderID+"/range?from=3&to=9", nil)
	if got, want := answer.Header.Get("Location"), "/ops/replay?order="+orderID+"&sequences=3-9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if answer, _ := w.send(w.Client, "GET", "/ops/orders/"+orderID+"/range?from=9&to=3", nil); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("a range that ends before it begins: got %s, want 400", answer.Status)
	}
}

func TestPictureKeepsCausesLeftOfTheirEffects(t *testing.T) {
	t.Parallel()
	entry := func(number, cause int, after time.Duration, subject, actor string, payload events.Payload) replay.Entry {
		return replay.Entry{Number: number, Cause: cause, After: after, Sequence: uint64(100 + number), Stream: events.StreamShop, Subject: subject, Type: payload.EventType(), Actor: actor, Payload: payload}
	}
	entries := []replay.Entry{entry(1, 0, 0, "orders.o", "guest", events.OrderPlaced{}), entry(2, 1, time.Millisecond, "inventory.stock.a", "system", events.StockHeld{}),
		entry(3, 1, time.Millisecond, "inventory.stock.b", "system", events.StockHeld{}), entry(4, 1, time.Millisecond, "inventory.reservations.o", "system", events.ReservationHeld{}),
		entry(5, 4, 2*time.Millisecond, "orders.o", "system", events.OrderAwaitingPayment{}), entry(6, 5, 48*time.Hour, "payments.p", "stripe", events.PaymentDeclined{}),
		entry(7, 0, 49*time.Hour, "orders.o", "staff:mira", events.OrderCancelled{})}
	p := drawTimeline(entries, selection{event: 105, from: 102, to: 105})
	var lanes, dots []string
	for _, l := range p.Lanes {
		lanes = append(lanes, l.Name)
	}
	if got := strings.Join(lanes, " "); got != "shopper orders inventory payments staff" {
		t.Errorf("lanes: got %s", got)
	}
	for i, d := range p.Dots {
		dots = append(dots, d.Label)
		if i > 0 && d.X <= p.Dots[i-1].X || d.X > p.Width {
			t.Errorf("%s at %d, want it right of %d and within %d", d.Label, d.X, p.Dots[i-1].X, p.Width)
		}
	}
	if got := strings.Join(dots, ", "); got != "placed, stock held ×2, reservation held, awaiting payment, declined, cancelled" && got != "placed, stock_held ×2, reservation held, awaiting payment, declined, cancelled" {
		t.Errorf("dots: got %s", got)
	}
	if len(p.Gaps) != 2 || p.Gaps[0].Label != "48 h" && p.Gaps[0].Label != "47 h" && p.Gaps[0].Label != "2 d" {
		t.Errorf("gaps: got %+v, want one of two days and one of an hour", p.Gaps)
	}
	if !p.Dots[4].Bad || p.Dots[0].Bad || !p.Dots[3].Selected || !p.Dots[3].InRange || p.Dots[0].InRange || len(p.Arrows) != 4 {
		t.Errorf("got %+v and %d arrows", p.Dots, len(p.Arrows))
	}
}

func TestPagesOfOrdersLookRight(t *testing.T) {
	w, _ := openOrders(t)
	for name, path := range map[string]string{"orders": "/ops/orders?q=ada", "order": fmt.Sprintf("/ops/orders/%s?event=7", orderID), "order-list": "/ops/orders/" + orderID + "?tab=list",
		"search": "/ops/search?q=ada", "messages": "/ops/messages"} {
		w.checkLooks(name, path)
	}
}
