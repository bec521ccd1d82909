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

// Addresses are the URLs and keys of a shop.
type Addresses struct {
	Storefront     string // base URL of the shopper's API
	Stripe         string // base URL of Stripe's API or of the sandbox
	PublishableKey string // Stripe's publishable key; default: the one that the shop returns with a payment
	SecretKey      string // Stripe's secret key; needed only by [Shop.SumPayments]
	Ops            string // base URL of the staff API; empty: no stock is received
	OpsKey         string
}

// Shop is a client of a shop: of the shopper's API, of Stripe as a browser uses it, and of the staff API for stock.
type Shop struct {
	at     Addresses
	client *client
}

// NewShop returns a client for a number of concurrent shoppers. A patient one repeats unanswered requests until the time
// of the purchase is over, others make five attempts.
func NewShop(at Addresses, concurrency int, patient bool) *Shop {
	for _, u := range []*string{&at.Storefront, &at.Stripe, &at.Ops} {
		*u = strings.TrimRight(*u, "/")
	}
	return &Shop{at: at, client: newClient(concurrency, patient)}
}

// Retries returns the number of requests repeated so far.
func (s *Shop) Retries() int64 { return s.client.retry.retries.Load() }

// Item is an entry of the catalogue.
type Item struct {
	SKU       string       `json:"sku"`
	Price     events.Money `json:"price"`
	Available int64        `json:"available"`
}

// Items reads the whole catalogue.
func (s *Shop) Items(ctx context.Context) ([]Item, error) {
	var items []Item
	address := s.at.Storefront + "/api/items?limit=100"
	for cursor := ""; ; {
		var page struct {
			Items      []Item `json:"items"`
			NextCursor string `json:"next_cursor"`
		}
		r := request{method: http.MethodGet, url: address}
		if cursor != "" {
			r.url += "&cursor=" + url.QueryEscape(cursor)
		}
		if err := s.client.call(ctx, s.client.retry, r, &page); err != nil {
			return nil, fmt.Errorf("read catalogue: %w", err)
		}
		items = append(items, page.Items...)
		if page.NextCursor == "" {
			return items, nil
		}
		cursor = page.NextCursor
	}
}

// Order is the shop's answer to a placed order.
type Order struct {
	ID       string       `json:"id"`
	Number   string       `json:"number"`
	Token    string       `json:"access_token"`
	Subtotal events.Money `json:"subtotal"`
	Total    events.Money `json:"total"`
}

func (s *Shop) orderURL(o Order, rest string) string {
	return s.at.Storefront + "/api/orders/" + o.ID + rest
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
	r := request{method: http.MethodPost, url: s.at.Storefront + "/api/orders", key: b.Key, contentType: "application/json", body: body}
	if b.Staff {
		r.bearer = s.at.OpsKey
	}
	err = s.client.call(ctx, s.client.retry, r, &order)
	if err == nil && (order.ID == "" || order.Token == "") {
		err = fmt.Errorf("%w: order %s has no id or no access token", ErrBadAnswer, b.Key)
	}
	return order, err
}

// cancel cancels an order. A refusal because it is too late is no error: the final state of the order decides.
func (s *Shop) cancel(ctx context.Context, o Order) error {
	var now state
	err := s.client.call(ctx, s.client.retry, request{method: http.MethodPost, url: s.orderURL(o, "/cancel"), bearer: o.Token}, &now)
	if isStatus(err, http.StatusConflict) {
		return nil
	}
	return err
}

// payment is what a browser needs to pay an order.
type payment struct {
	Status         string `json:"status"`
	Intent         string `json:"payment_intent"`
	ClientSecret   string `json:"client_secret"`
	PublishableKey string `json:"publishable_key"`
}

// payment polls until the order can be paid, or nothing is left to pay: then there is no client secret.
func (s *Shop) payment(ctx context.Context, o Order) (payment, error) {
	r := request{method: http.MethodGet, url: s.orderURL(o, "/payment?wait=20"), bearer: o.Token}
	var last payment
	var lastErr error
	for {
		var p payment
		err := s.client.call(ctx, s.client.retry, r, &p)
		switch {
		case ctx.Err() != nil:
			return p, fmt.Errorf("order %s: payment was last %q (%v): %w", o.ID, last.Status, lastErr, ctx.Err()) //nolint:errorlint // lastErr may be nil, and is only shown
		case isStatus(err, http.StatusNotFound): // the payment is not requested yet
		case err != nil:
			return p, fmt.Errorf("order %s: %w", o.ID, err)
		case p.ClientSecret != "" || p.settled():
			return p, nil
		}
		last, lastErr = p, err
		// The server waits up to 20 s; the pause is for answers that come at once. The next call returns the error of ctx.
		_ = sleep(ctx, firstInterval)
	}
}

// settled reports whether the shopper has nothing left to do.
func (p payment) settled() bool {
	switch p.Status {
	case "", "requested", "intent_created":
		return false
	}
	return true
}

func isStatus(err error, status int) bool {
	var refusal *StatusError
	return errors.As(err, &refusal) && refusal.Status == status
}
