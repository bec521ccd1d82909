package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tillstream/events"
	"tillstream/events/api"
	"tillstream/orders"
)

func (c *console) orderRoutes(mux *http.ServeMux) {
	mux.Handle("GET /ops/orders", c.view(api.ReadAll, c.showOrders))
	mux.Handle("GET /ops/orders.csv", c.view(api.ReadAll, c.exportOrders))
	mux.Handle("GET /ops/orders/{id}", c.view(api.ReadAll, c.showOrder))
	mux.Handle("GET /ops/orders/{id}/range", c.view(api.ReadAll, c.openRange))
	mux.Handle("POST /ops/orders/{id}/cancel", c.act(api.WriteOrders, c.cancelOrder))
	mux.Handle("GET /ops/search", c.view(api.ReadAll, c.showSearch))
	mux.Handle("GET /ops/messages", c.view(api.ReadAll, c.showMessages))
	mux.Handle("GET /ops/messages/{order}", c.view(api.ReadAll, c.showMessagesOf))
	mux.Handle("GET /ops/messages/{order}/{message}", c.view(api.ReadAll, c.showMail))
	mux.Handle("GET /ops/messages/{order}/{message}/html", c.view(api.ReadAll, c.showMailHTML))
}

// listedOrder is an order as the staff API lists it.
type listedOrder struct {
	ID         string       `json:"id"`
	Number     string       `json:"number"`
	Status     string       `json:"status"`
	Payment    string       `json:"payment_status"`
	Fulfilment string       `json:"fulfilment_status"`
	Email      string       `json:"email"`
	Name       string       `json:"name"`
	Place      string       `json:"place"`
	Total      events.Money `json:"total"`
	PlacedAt   time.Time    `json:"placed_at"`
}

// orderList is the answer of the staff API to a search.
type orderList struct {
	Orders []listedOrder `json:"orders"`
	Total  int           `json:"total"`
	Exact  bool          `json:"exact"`
}

// savedFilter is a question that staff ask every day, as conditions of the staff API.
type savedFilter struct {
	Name, Label string
	conditions  map[string]string
}

var savedFilters = []savedFilter{
	{"", "All", nil},
	{"unpaid", "Unpaid", map[string]string{"status": "placed,awaiting_payment", "payment_status": "unpaid"}},
	{"to-ship", "To ship", map[string]string{"status": "confirmed", "payment_status": "authorized,paid,partly_refunded", "fulfilment_status": "unfulfilled,partly_fulfilled"}},
	{"late", "Paid late", map[string]string{"status": "paid_late"}},
}

// orderFields are the fields of the address that the staff API has too.
var orderFields = []string{"q", "status", "payment_status", "from", "to", "sort"}

// orderQuery returns the request to the staff API that an address selects.
func orderQuery(query url.Values, p pager) url.Values {
	selected := url.Values{"limit": {fmt.Sprint(p.Size)}, "skip": {fmt.Sprint(p.Skip())}}
	for _, saved := range savedFilters {
		if saved.Name == query.Get("view") {
			for name, value := range saved.conditions {
				selected.Set(name, value)
			}
		}
	}
	for _, name := range orderFields {
		if value := strings.TrimSpace(query.Get(name)); value != "" {
			selected.Set(name, value)
		}
	}
	return selected
}

// ordersData is the data of the list of orders.
type ordersData struct {
	orderList
	Pager    pager
	Filter   url.Values
	Saved    []savedFilter
	Statuses []orders.Status
	Payments []orders.PaymentStatus
	CSV      string
}

// Get returns a field of the filter.
func (d ordersData) Get(name string) string { return d.Filter.Get(name) }

// Filtered reports whether the list leaves orders out.
func (d ordersData) Filtered() bool {
	for _, name := range append([]string{"view"}, orderFields[:5]...) {
		if d.Filter.Get(name) != "" {
			return true
		}
	}
	return false
}

func (c *console) showOrders(w http.ResponseWriter, r *http.Request) error {
	data := ordersData{Pager: pagerOf(r), Filter: r.URL.Query(), Saved: savedFilters, Statuses: orders.Statuses(), Payments: orders.PaymentStatuses(),
		CSV: "/ops/orders.csv?" + r.URL.RawQuery}
	if err := c.callAPI(r, http.MethodGet, "/ops/api/orders?"+orderQuery(data.Filter, data.Pager).Encode(), nil, &data.orderList); err != nil {
		return err
	}
	data.Pager.Total = data.Total
	return c.render(w, r, "orders.html", page{Title: "Orders", Nav: "Orders", Command: ordersCommand(orderQuery(data.Filter, data.Pager)), Data: data})
}

// ordersCommand returns the command that lists the same.
func ordersCommand(selected url.Values) string {
	command := "ops orders"
	for _, f := range []struct{ field, flag string }{{"q", "search"}, {"status", "status"}, {"payment_status", "payment"}, {"from", "since"}, {"to", "until"}, {"sort", "sort"}} {
		if value := selected.Get(f.field); value != "" {
			command += " --" + f.flag + " " + shellWord(value)
		}
	}
	return command
}

// exportOrders writes the page that is shown as CSV, with cells that no spreadsheet evaluates.
func (c *console) exportOrders(w http.ResponseWriter, r *http.Request) error {
	var list orderList
	if err := c.callAPI(r, http.MethodGet, "/ops/api/orders?"+orderQuery(r.URL.Query(), pagerOf(r)).Encode(), nil, &list); err != nil {
		return err
	}
	rows := [][]string{{"number", "id", "placed_at", "name", "email", "place", "total", "currency", "status", "payment_status", "fulfilment_status"}}
	for _, o := range list.Orders {
		rows = append(rows, []string{o.Number, o.ID, o.PlacedAt.UTC().Format(time.RFC3339), o.Name, o.Email, o.Place, o.Total.Number(), o.Total.Currency, o.Status, o.Payment, o.Fulfilment})
	}
	return sendCSV(w, "orders", rows)
}

// statusClass is the class of a chip with a status of an order, a payment or a mail.
func statusClass(status any) string {
	switch fmt.Sprint(status) {
	case "confirmed", "paid", "sent":
		return "good"
	case "rejected", "failed", "unknown":
		return "bad"
	case "paid_late", "refunded", "partly_refunded":
		return "warn"
	case "placed", "awaiting_payment", "capturing", "authorized", "queued", "sending":
		return "info"
	}
	return ""
}

// words writes a status as people read it.
func words(status any) string { return strings.ReplaceAll(fmt.Sprint(status), "_", " ") }
