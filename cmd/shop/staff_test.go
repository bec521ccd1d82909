package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/events/replay"
)

// Stripe's test cards, see docs.stripe.com/testing.
const (
	goodCard   = "pm_card_visa"
	brokeCard  = "pm_card_visa_chargeDeclinedInsufficientFunds"
	secureCard = "pm_card_threeDSecure2Required"
)

// staff sends a request with the staff's token.
func (ts *testShop) staff(t *testing.T, method, path string, body, into any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	ts.send(t, ts.request(t, method, "/ops/api"+path, ts.OpsKey, bytes.NewReader(data))).into(t, http.StatusOK, into)
}

// list adds an item to the catalogue, or changes it; onHand is the counted stock.
func (ts *testShop) list(t *testing.T, sku string, pence, onHand int64) {
	t.Helper()
	var put struct{ SKU string }
	ts.staff(t, http.MethodPut, "/items/"+sku, map[string]any{"title": "A " + strings.ToLower(sku), "on_hand": onHand,
		"price": events.Money{Amount: pence, Currency: "GBP"}}, &put)
}

// level is the stock of an item.
type level struct {
	OnHand    int64 `json:"on_hand"`
	Available int64 `json:"available"`
	Held      int64 `json:"held"`
}

func (ts *testShop) stock(t *testing.T, sku string) level {
	t.Helper()
	var now level
	ts.staff(t, http.MethodGet, "/stock/"+url.PathEscape(sku), nil, &now)
	return now
}

// stockBecomes waits for a stock level: the stock of an order is committed a moment after the order is confirmed.
func (ts *testShop) stockBecomes(t *testing.T, sku string, want level) {
	t.Helper()
	waitFor(t, fmt.Sprintf("the stock of %s is %+v", sku, want), func() bool {
		got := ts.stock(t, sku)
		if got.OnHand != got.Available+got.Held {
			t.Fatalf("stock of %s = %+v: on hand is not available plus held", sku, got)
		}
		return cmp.Equal(want, got)
	})
}

// stripeRequest returns a request to Stripe's API.
func (ts *testShop) stripeRequest(t *testing.T, method, path, key string, form url.Values) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, ts.Stripe+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func (ts *testShop) stripe(t *testing.T, method, path, key string, form url.Values) answer {
	t.Helper()
	return ts.send(t, ts.stripeRequest(t, method, path, key, form))
}

// intent is a PaymentIntent as Stripe shows it.
type intent struct {
	ID             string            `json:"id"`
	Status         string            `json:"status"`
	Amount         int64             `json:"amount"`
	AmountReceived int64             `json:"amount_received"`
	Currency       string            `json:"currency"`
	Metadata       map[string]string `json:"metadata"`
	NextAction     struct {
		Redirect struct {
			URL string `json:"url"`
		} `json:"redirect_to_url"`
	} `json:"next_action"`
}

// intents returns the intents that Stripe has for an order, which are at most one.
func (ts *testShop) intents(t *testing.T, o order) []intent {
	t.Helper()
	var all struct{ Data []intent }
	ts.stripe(t, http.MethodGet, "/v1/payment_intents?limit=100", ts.StripeSecretKey, nil).into(t, http.StatusOK, &all)
	var found []intent
	for _, in := range all.Data {
		if in.Metadata["order_id"] == o.ID {
			found = append(found, in)
		}
	}
	if len(found) > 1 {
		t.Errorf("order %s has %d intents, want at most 1", o.ID, len(found))
	}
	return found
}

// intentBecomes waits until the one intent of an order has a status.
func (ts *testShop) intentBecomes(t *testing.T, o order, status string) intent {
	t.Helper()
	var found []intent
	waitFor(t, "the intent of order "+o.ID+" is "+status, func() bool {
		found = ts.intents(t, o)
		return len(found) == 1 && found[0].Status == status
	})
	return found[0]
}

// charged waits until the order's total is captured.
func (ts *testShop) charged(t *testing.T, o order) {
	t.Helper()
	in := ts.intentBecomes(t, o, "succeeded")
	if in.AmountReceived != o.Total.Amount || !strings.EqualFold(in.Currency, o.Total.Currency) {
		t.Errorf("captured %d %s, want %s", in.AmountReceived, in.Currency, o.Total)
	}
}

// history returns the events of a subject, which may have a wildcard, oldest first.
func (ts *testShop) history(t *testing.T, subject string) []events.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []events.Event
	err := ts.log.Each(ctx, replay.Range{Subjects: []string{subject}}, func(message replay.Message) error {
		e, err := message.Event()
		all = append(all, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// placedBy counts the orders in the log by the customer's e-mail address.
func (ts *testShop) placedBy(t *testing.T, email string) int {
	t.Helper()
	n := 0
	for _, e := range ts.history(t, events.PrefixOrder+"*") {
		if p, ok := e.Payload.(events.OrderPlaced); ok && p.Customer.Email == email {
			n++
		}
	}
	return n
}
