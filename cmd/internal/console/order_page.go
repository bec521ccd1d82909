package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/replay"
	"tillstream/notifications"
	"tillstream/orders"
	"tillstream/payments"
)

// orderData is the data of the page of one order.
type orderData struct {
	Order    orders.Order
	Payment  payments.Payment // the zero value if none was requested
	Refunded events.Money
	Messages []notifications.Message
	History  replay.History
	Picture  picture
	Tab      string
	Tabs     []string
	Event    *replay.Entry // shown beside the picture, if one is selected
	Body     string
	From, To uint64 // the selected range of sequences; 0 without one
	By       string // who placed it
}

// Cancellable reports whether the order can still be cancelled.
func (d orderData) Cancellable() bool {
	return d.Order.Status == orders.Placed || d.Order.Status == orders.AwaitingPayment
}

// Settlement returns what Stripe has booked for the payment, nil before the first booking.
func (d orderData) Settlement() *payments.Settlement {
	sum, ok := d.Payment.Settlement()
	if !ok {
		return nil
	}
	return &sum
}

// Disputes returns the disputes of the payment.
func (d orderData) Disputes() []payments.ListedDispute { return d.Payment.ListedDisputes() }

// Raw returns the payload of an entry as JSON.
func (d orderData) Raw(e replay.Entry) string { return rawJSON(e) }

func rawJSON(e replay.Entry) string {
	data, err := json.MarshalIndent(e.Payload, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// orderTabs are the ways to show the timeline. The first is the default.
var orderTabs = []string{"picture", "list", "raw"}

func (c *console) showOrder(w http.ResponseWriter, r *http.Request) error {
	data, err := c.orderData(r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.render(w, r, "order.html", page{Title: "Order " + data.Order.Number, Nav: "Orders", Command: "ops timeline " + data.Order.Number, Data: data,
		Crumbs: []anchor{{"Orders", "/ops/orders"}}})
}

// orderData reads an order, its payment, its mails and its history from the log.
func (c *console) orderData(r *http.Request, id string) (d orderData, err error) {
	ctx, log := r.Context(), c.Log.Log()
	if events.CheckID(id) != nil {
		return d, errNotFound
	}
	if d.Order, _, err = orders.Orders.Read(ctx, log, id); err != nil {
		return d, err
	}
	if d.Payment, _, err = payments.Payments.Read(ctx, log, events.FirstPaymentID(id)); err != nil && !errors.Is(err, eventlog.ErrNotFound) {
		return d, err
	}
	mails, _, err := notifications.Notifications.Read(ctx, log, id)
	if err != nil && !errors.Is(err, eventlog.ErrNotFound) {
		return d, err
	}
	if d.History, err = c.Log.Timeline(ctx, id); err != nil {
		return d, err
	}
	d.Messages, d.Refunded, d.By = mails.Messages, d.Order.RefundedTotal(), d.History.Entries[0].Actor
	d.selected(r.URL.Query())
	return d, nil
}

// selected sets what the address selects: the tab, an event, a range.
func (d *orderData) selected(query url.Values) {
	number := func(name string) uint64 {
		n, _ := strconv.ParseUint(query.Get(name), 10, 64) // anything else selects nothing
		return n
	}
	d.Tabs, d.Tab = orderTabs, orderTabs[0]
	if slices.Contains(orderTabs, query.Get("tab")) {
		d.Tab = query.Get("tab")
	}
	d.From, d.To = number("from"), number("to")
	event := number("event")
	for i, e := range d.History.Entries {
		if e.Sequence == event && e.Stream == events.StreamShop {
			d.Event, d.Body = &d.History.Entries[i], rawJSON(e)
		}
	}
	d.Picture = drawTimeline(d.History.Entries, selection{event: event, from: d.From, to: cmp.Or(d.To, d.From)})
}

// openRange leads from the selected range of an order to the page that replays it.
func (c *console) openRange(w http.ResponseWriter, r *http.Request) error {
	from, err := strconv.ParseUint(r.FormValue("from"), 10, 64)
	to, err2 := strconv.ParseUint(r.FormValue("to"), 10, 64)
	if err := errors.Join(err, err2); err != nil || from > to {
		return fmt.Errorf("%w: a range is two sequences, the smaller one first", errInvalid)
	}
	query := url.Values{"order": {r.PathValue("id")}, "sequences": {fmt.Sprintf("%d-%d", from, to)}}
	http.Redirect(w, r, "/ops/replay?"+query.Encode(), http.StatusSeeOther)
	return nil
}

// cancelOrder cancels an unpaid order.
func (c *console) cancelOrder(r *http.Request, author events.Author) (outcome, error) {
	if author.Reason == "" {
		return outcome{}, fmt.Errorf("%w: say why the order is cancelled", errInvalid)
	}
	id := r.PathValue("id")
	var result struct {
		Number string `json:"number"`
	}
	body := map[string]string{"reason": author.Reason}
	if err := c.callAPI(r, http.MethodPost, "/ops/api/orders/"+url.PathEscape(id)+"/cancel", body, &result); err != nil {
		return outcome{}, err
	}
	return outcome{Text: "Order " + result.Number + " is cancelled. Its stock is released.", Event: c.newestOf(r, events.PrefixOrder, id), To: "/ops/orders/" + id}, nil
}
