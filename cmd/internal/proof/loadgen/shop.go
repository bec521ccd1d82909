package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"tillstream/events"
)

// Addresses say where the shop is and what opens its doors.
type Addresses struct {
	Storefront     string // base URL of the shopper's API
	Stripe         string // base URL of Stripe's API or of the sandbox
	PublishableKey string // what a browser shows Stripe; default: the one that the shop hands out with a payment
	SecretKey      string // for comparing what was taken; only [PaymentsAt] needs it
	Ops            string // base URL of the staff's API; empty: no stock is received
	OpsToken       string
}

// Shop speaks to a shop as a shopper's browser does, and for stock as its staff do.
type Shop struct {
	at     Addresses
	client *client
}

// NewShop makes a shop for so many shoppers at a time. A patient one repeats unanswered requests until the time of
// the purchase is up, others a few times.
func NewShop(at Addresses, concurrency int, patient bool) *Shop {
	for _, u := range []*string{&at.Storefront, &at.Stripe, &at.Ops} {
		*u = strings.TrimRight(*u, "/")
	}
	return &Shop{at: at, client: newClient(concurrency, patient)}
}

// Retries is how many requests had to be repeated so far.
func (s *Shop) Retries() int64 { return s.client.few.retried.Load() }

// Item is what the shop window shows.
type Item struct {
	SKU       string       `json:"sku"`
	Price     events.Money `json:"price"`
	Available int64        `json:"available"`
}

// Items reads the whole catalogue.
func (s *Shop) Items(ctx context.Context) ([]Item, error) {
	var items []Item
	cursor := ""
	for {
		var page struct {
			Items      []Item `json:"items"`
			NextCursor string `json:"next_cursor"`
		}
		address := s.at.Storefront + "/api/items?limit=100&cursor=" + url.QueryEscape(cursor)
		if cursor == "" {
			address = s.at.Storefront + "/api/items?limit=100"
		}
		if err := s.client.call(ctx, s.client.few, request{method: http.MethodGet, url: address}, &page); err != nil {
			return nil, fmt.Errorf("read the catalogue: %w", err)
		}
		items = append(items, page.Items...)
		if page.NextCursor == "" {
			return items, nil
		}
		cursor = page.NextCursor
	}
}

// Order is the shop's promise, as answered to the shopper.
type Order struct {
	ID       string       `json:"id"`
	Number   string       `json:"number"`
	Token    string       `json:"access_token"`
	Subtotal events.Money `json:"subtotal"`
	Total    events.Money `json:"total"`
}

// placement is the body of POST /api/orders.
type placement struct {
	Email   string         `json:"email"`
	Name    string         `json:"name"`
	Locale  string         `json:"locale,omitempty"`
	Address events.Address `json:"shipping_address"`
	Lines   []Line         `json:"lines"`
}

func (s *Shop) place(ctx context.Context, b Basket) (Order, error) {
	var order Order
	body, err := json.Marshal(placement{Email: b.Email, Name: b.Name, Locale: b.Locale, Lines: b.Lines,
		Address: events.Address{Line1: "1 Market Place", City: "Anytown", PostalCode: "10000", Country: b.Country}})
	if err != nil {
		return order, fmt.Errorf("encode order %s: %w", b.Key, err)
	}
	err = s.client.call(ctx, s.client.few, request{method: http.MethodPost, url: s.at.Storefront + "/api/orders",
		key: b.Key, contentType: "application/json", body: body}, &order)
	if err == nil && (order.ID == "" || order.Token == "") {
		err = fmt.Errorf("%w: order %s has no id or no access token", ErrBadAnswer, b.Key)
	}
	return order, err
}

// cancel asks the shop to forget about an order. That it is too late for that is no error: the order's end will say.
func (s *Shop) cancel(ctx context.Context, o Order) error {
	var now state
	err := s.client.call(ctx, s.client.few, request{method: http.MethodPost, url: s.at.Storefront + "/api/orders/" + o.ID + "/cancel",
		bearer: o.Token}, &now)
	var refusal *StatusError
	if errors.As(err, &refusal) && refusal.Status == http.StatusConflict {
		return nil
	}
	return err
}

// payment is how an order can be paid.
type payment struct {
	Status         string `json:"status"`
	Intent         string `json:"payment_intent"`
	ClientSecret   string `json:"client_secret"`
	PublishableKey string `json:"publishable_key"`
}

// payment asks until there is something to pay with, or nothing to pay any more: then there is no secret.
func (s *Shop) payment(ctx context.Context, o Order) (payment, error) {
	r := request{method: http.MethodGet, url: s.at.Storefront + "/api/orders/" + o.ID + "/payment?wait=20", bearer: o.Token}
	var last payment
	var why error
	for {
		var p payment
		err := s.client.call(ctx, s.client.few, r, &p)
		switch {
		case ctx.Err() != nil:
			return p, fmt.Errorf("order %s: the payment was last %q (%v): %w", o.ID, last.Status, why, ctx.Err()) //nolint:errorlint // why may be nil, and is told, not matched
		case isNotFound(err): // nobody has asked for the money yet
		case err != nil:
			return p, fmt.Errorf("order %s: %w", o.ID, err)
		case p.ClientSecret != "" || p.settled():
			return p, nil
		}
		last, why = p, err
		// The wait is the server's; the pause is for one that does not wait. If time runs out in it, the next call says so.
		_ = pause(ctx, firstPause)
	}
}

// settled reports whether the shopper has nothing to do any more.
func (p payment) settled() bool {
	switch p.Status {
	case "", "requested", "intent_created":
		return false
	}
	return true
}

func isNotFound(err error) bool {
	var refusal *StatusError
	return errors.As(err, &refusal) && refusal.Status == http.StatusNotFound
}

// receive books goods that have just arrived.
func (s *Shop) receive(ctx context.Context, sku string, quantity int64) error {
	var level struct{}
	body := fmt.Appendf(nil, `{"delta":%d,"reason":"received"}`, quantity)
	err := s.client.call(ctx, patience{attempts: 1, retried: s.client.few.retried}, request{method: http.MethodPost, bearer: s.at.OpsToken,
		url: s.at.Ops + "/ops/api/stock/" + url.PathEscape(sku) + "/adjustments", contentType: "application/json", body: body}, &level)
	if err != nil {
		return fmt.Errorf("receive %d of %s: %w", quantity, sku, err)
	}
	return nil
}
