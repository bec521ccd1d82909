package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tillstream/events"
)

// line is one item in a cart.
type line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// placement is the body of a checkout.
type placement struct {
	Email   string         `json:"email"`
	Name    string         `json:"name"`
	Locale  string         `json:"locale,omitempty"`
	Address events.Address `json:"shipping_address"`
	Lines   []line         `json:"lines"`
}

// cart returns a checkout by a shopper whose name and e-mail address are derived from who, such as "ada".
func cart(who string, lines ...line) placement {
	return placement{Email: who + "@example.com", Name: strings.ToUpper(who[:1]) + who[1:], Locale: "en", Lines: lines,
		Address: events.Address{Line1: "12 St James's Square", City: "London", PostalCode: "SW1Y 4JH", Country: "GB"}}
}

// order is an order as its owner reads it.
type order struct {
	ID          string             `json:"id"`
	Number      string             `json:"number"`
	Status      string             `json:"status"`
	Reason      *reason            `json:"reason"`
	Email       string             `json:"email"`
	Locale      string             `json:"locale"`
	Lines       []events.OrderLine `json:"lines"`
	Subtotal    events.Money       `json:"subtotal"`
	Shipping    events.Money       `json:"shipping"`
	Total       events.Money       `json:"total"`
	ExpiresAt   *time.Time         `json:"expires_at"`
	Refunded    *events.Money      `json:"refunded"`
	AccessToken string             `json:"access_token"`
}

type reason struct {
	Code    string            `json:"code"`
	Message string            `json:"message"`
	Short   []events.Shortage `json:"short"`
}

// checkoutRequest returns a checkout request; an empty key sends no Idempotency-Key.
func (ts *testShop) checkoutRequest(t *testing.T, p placement, key string) *http.Request {
	t.Helper()
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	r := ts.request(t, http.MethodPost, "/api/orders", "", bytes.NewReader(body))
	if key != "" {
		r.Header.Set("Idempotency-Key", "a key of the tests: "+key)
	}
	return r
}

// post sends a checkout.
func (ts *testShop) post(t *testing.T, p placement, key string) answer {
	t.Helper()
	return ts.send(t, ts.checkoutRequest(t, p, key))
}

// place places an order, which must succeed.
func (ts *testShop) place(t *testing.T, p placement) order {
	t.Helper()
	var o order
	ts.post(t, p, "").into(t, http.StatusCreated, &o)
	return o
}

// read reads an order as its owner.
func (ts *testShop) read(t *testing.T, o order) order {
	t.Helper()
	var now order
	ts.get(t, "/api/orders/"+o.ID, o.AccessToken).into(t, http.StatusOK, &now)
	now.AccessToken = o.AccessToken
	return now
}

// cancel tries to cancel an order.
func (ts *testShop) cancel(t *testing.T, o order) answer {
	t.Helper()
	return ts.send(t, ts.request(t, http.MethodPost, "/api/orders/"+o.ID+"/cancel", o.AccessToken, nil))
}

// follow reads the event stream of an order until it has one of the statuses. It returns that order and all statuses on the
// way.
func (ts *testShop) follow(t *testing.T, o order, until ...string) (last order, seen []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := http.DefaultClient.Do(ts.request(t, http.MethodGet, "/api/orders/"+o.ID+"/events", o.AccessToken, nil).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("event stream: %s, Content-Type %q", response.Status, kind)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		last = order{AccessToken: o.AccessToken}
		if err := json.Unmarshal([]byte(data), &last); err != nil {
			t.Fatalf("%v in %q", err, data)
		}
		if seen = append(seen, last.Status); slices.Contains(until, last.Status) {
			return last, seen
		}
	}
	t.Fatalf("order %s of %s had the statuses %v, want %v", o.ID, o.Email, seen, until)
	return last, seen
}

// becomes waits until an order has a status.
func (ts *testShop) becomes(t *testing.T, o order, status string) order {
	t.Helper()
	last, _ := ts.follow(t, o, status)
	return last
}

// payment is the payment of an order, as its owner reads it.
type payment struct {
	Status         string `json:"status"`
	Amount         int64  `json:"amount"`
	Currency       string `json:"currency"`
	Intent         string `json:"payment_intent"`
	ClientSecret   string `json:"client_secret"`
	PublishableKey string `json:"publishable_key"`
	LastError      *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"last_error"`
}

// payment reads an order's payment.
func (ts *testShop) payment(t *testing.T, o order) payment {
	t.Helper()
	var p payment
	ts.get(t, "/api/orders/"+o.ID+"/payment", o.AccessToken).into(t, http.StatusOK, &p)
	return p
}

// checkout waits until an order can be paid.
func (ts *testShop) checkout(t *testing.T, o order) payment {
	t.Helper()
	var p payment
	ts.get(t, "/api/orders/"+o.ID+"/payment?wait=30", o.AccessToken).into(t, http.StatusOK, &p)
	if p.ClientSecret == "" {
		t.Fatalf("payment of order %s = %+v, want a client secret", o.ID, p)
	}
	return p
}

// payRequest returns the request with which a shopper's browser sends a card to Stripe.
func (ts *testShop) payRequest(t *testing.T, p payment, card string) *http.Request {
	t.Helper()
	form := url.Values{"client_secret": {p.ClientSecret}, "payment_method": {card}, "return_url": {ts.Storefront + "/back"}}
	return ts.stripeRequest(t, http.MethodPost, "/v1/payment_intents/"+p.Intent+"/confirm", p.PublishableKey, form)
}

// pay sends a card to Stripe and returns the answer.
func (ts *testShop) pay(t *testing.T, p payment, card string) answer {
	t.Helper()
	return ts.send(t, ts.payRequest(t, p, card))
}

// settle pays an order with a good card and waits until it is confirmed.
func (ts *testShop) settle(t *testing.T, o order) order {
	t.Helper()
	var in intent
	ts.pay(t, ts.checkout(t, o), goodCard).into(t, http.StatusOK, &in)
	if in.Status != "requires_capture" {
		t.Fatalf("intent status after payment = %q, want requires_capture", in.Status)
	}
	return ts.becomes(t, o, "confirmed")
}

// buy places an order, pays it and waits until it is confirmed.
func (ts *testShop) buy(t *testing.T, p placement) order {
	t.Helper()
	return ts.settle(t, ts.place(t, p))
}

// mail is an e-mail in the inbox.
type mail struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Subject   string `json:"subject"`
	Text      string `json:"text"`
	HTML      string `json:"html"`
	MessageID string `json:"message_id"`
}

// mails returns the e-mails to an address, newest first.
func (ts *testShop) mails(t *testing.T, to string) []mail {
	t.Helper()
	var box struct {
		Messages []mail `json:"messages"`
	}
	ts.get(t, "/mail/messages?to="+url.QueryEscape(to), ts.OpsKey).into(t, http.StatusOK, &box)
	return box.Messages
}

// mailed waits for n e-mails to an address and returns them, oldest first. More than n fail the test.
func (ts *testShop) mailed(t *testing.T, to string, n int) []mail {
	t.Helper()
	var got []mail
	waitFor(t, to+" has e-mail", func() bool { got = ts.mails(t, to); return len(got) >= n })
	slices.Reverse(got)
	if len(got) > n {
		t.Errorf("%s got %d e-mails, want %d; the last subject is %q", to, len(got), n, got[len(got)-1].Subject)
	}
	return got
}

// notMailed expects that no e-mail about an order was queued. The decision to queue one is in the commit of the order's last event.
func (ts *testShop) notMailed(t *testing.T, o order) {
	t.Helper()
	if queued := ts.history(t, events.PrefixNotification+o.ID); len(queued) > 0 {
		t.Errorf("events of e-mails about the unpaid order %s of a guest: got %+v, want none", o.ID, queued)
	}
}
