//go:build unix

package crashtest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"tillstream/orders"
)

// intention is what a shopper does with an order.
type intention string

const (
	pays     intention = "pays"
	declined intention = "declined" // pays with a declined card
	leaves   intention = "leaves"   // without paying
	returns  intention = "returns"  // pays, and staff refund a part
)

// shopper orders one lamp and two mugs, and follows the order to its final state. Requests without an answer are repeated.
type shopper struct {
	intention
	deployment *deployment
	name       string
	client     *http.Client
	accepted   *atomic.Int64 // orders of all shoppers that were answered 201

	done  chan struct{} // closed when the visit is over; then the fields below may be read
	id    string        // empty unless the order was answered 201
	token string        // access token
	end   string        // final status of the order
	err   error         // why the visit failed

	checked bool // the test has checked the outcome
}

// Timeouts of a shopper.
const (
	answerTimeout = 3 * time.Second        // of one request: a suspended process does not answer
	retryEvery    = 100 * time.Millisecond // interval between attempts
	visitTimeout  = 150 * time.Second
)

// address is the shopper's e-mail address.
func (s *shopper) address() string { return s.name + "@example.com" }

func (s *shopper) visit(ctx context.Context) {
	defer close(s.done)
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	if s.err = s.place(ctx); s.err != nil {
		return
	}
	o, err := s.checkout(ctx)
	if s.err = err; s.err != nil {
		return
	}
	if s.intention != leaves {
		if s.err = s.pay(ctx, o); s.err != nil {
			return
		}
	}
	if s.err = s.follow(ctx); s.err == nil && s.intention == returns {
		s.err = s.refund(ctx)
	}
}

// refund refunds a mug and returns it to stock, as staff do, and waits until the shopper has the money.
func (s *shopper) refund(ctx context.Context) error {
	address := cmp.Or(s.deployment.ops, s.deployment.shop.Ops) + "/ops/api/orders/" + s.id + "/refunds"
	list := func() (b orders.RefundsBody, err error) {
		a, err := s.send(ctx, call{method: http.MethodGet, url: address, bearer: s.deployment.shop.OpsKey})
		if err != nil {
			return b, err
		}
		return b, a.into(http.StatusOK, &b)
	}
	before, err := list()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"refundable": before.Refundable, "reason": "damaged", "lines": []any{map[string]any{"sku": "MUG", "quantity": 1, "restock": 1}}})
	if err != nil {
		return err
	}
	a, err := s.send(ctx, call{method: http.MethodPost, url: address, bearer: s.deployment.shop.OpsKey, key: "the-key-of-the-refund-of-" + s.name, contentType: "application/json", body: body})
	if err != nil {
		return err
	}
	var requested orders.RefundBody
	if err := a.into(http.StatusCreated, &requested); err != nil {
		return err
	}
	for {
		switch now, err := list(); {
		case err != nil:
			return err
		case len(now.Refunds) == 1 && now.Refunds[0].State == orders.RefundSucceeded:
			return nil
		case len(now.Refunds) != 1 || now.Refunds[0].State == orders.RefundFailed:
			return fmt.Errorf("refund %s: got %+v, want it alone to succeed", requested.ID, now.Refunds)
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("refund %s of order %s has not ended: %w", requested.ID, s.id, err)
		}
	}
}

// order is the body of POST /api/orders.
type order struct {
	Email   string         `json:"email"`
	Name    string         `json:"name"`
	Address map[string]any `json:"shipping_address"`
	Lines   []any          `json:"lines"`
}

// placeRequest is the request that places the order, the same for every attempt.
func (s *shopper) placeRequest() (call, error) {
	body, err := json.Marshal(order{Email: s.address(), Name: s.name,
		Address: map[string]any{"line1": "1 Market Place", "city": "Anytown", "postal_code": "10000", "country": "GB"},
		Lines:   []any{map[string]any{"sku": "LAMP", "quantity": 1}, map[string]any{"sku": "MUG", "quantity": 2}}})
	return call{method: http.MethodPost, url: s.deployment.shop.Storefront + "/api/orders", key: "the-idempotency-key-of-" + s.name, contentType: "application/json", body: body}, err
}

func (s *shopper) place(ctx context.Context) error {
	r, err := s.placeRequest()
	if err != nil {
		return err
	}
	a, err := s.send(ctx, r)
	if err != nil {
		return err
	}
	return s.placed(a)
}

// placed reads the answer to the order.
func (s *shopper) placed(a answer) error {
	var placed struct {
		ID          string `json:"id"`
		AccessToken string `json:"access_token"`
	}
	if err := a.into(http.StatusCreated, &placed); err != nil {
		return err
	}
	s.id, s.token = placed.ID, placed.AccessToken
	s.accepted.Add(1)
	return nil
}

// offer is what a browser needs to pay an order.
type offer struct {
	Status       string `json:"status"`
	Intent       string `json:"payment_intent"`
	ClientSecret string `json:"client_secret"`
}

// checkout waits until the order can be paid. An order that becomes final before that was lost by a process.
func (s *shopper) checkout(ctx context.Context) (offer, error) {
	for {
		a, err := s.send(ctx, call{method: http.MethodGet, url: s.deployment.shop.Storefront + "/api/orders/" + s.id + "/payment?wait=1", bearer: s.token})
		if err != nil {
			return offer{}, err
		}
		var o offer
		if a.status != http.StatusNotFound { // otherwise the payment is not requested yet
			if err := a.into(http.StatusOK, &o); err != nil || o.ClientSecret != "" {
				return o, err
			}
		}
		if now, err := s.status(ctx); err != nil || final(now) {
			return o, errors.Join(err, fmt.Errorf("order %s is %q with payment %q before it could be paid", s.id, now, o.Status))
		}
		if err := pause(ctx); err != nil {
			return o, fmt.Errorf("order %s: payment is %q: %w", s.id, o.Status, err)
		}
	}
}

func (s *shopper) pay(ctx context.Context, o offer) error {
	card := "pm_card_visa"
	if s.intention == declined {
		card = "pm_card_chargeDeclined"
	}
	form := url.Values{"client_secret": {o.ClientSecret}, "payment_method": {card}}
	a, err := s.send(ctx, call{method: http.MethodPost, url: s.deployment.shop.Stripe + "/v1/payment_intents/" + o.Intent + "/confirm",
		bearer: s.deployment.shop.StripePublishableKey, contentType: "application/x-www-form-urlencoded", body: []byte(form.Encode())})
	if err != nil {
		return err
	}
	// 400: the intent was cancelled meanwhile, or an earlier attempt arrived and its answer was lost.
	if want := map[intention]int{pays: http.StatusOK, returns: http.StatusOK, declined: http.StatusPaymentRequired}[s.intention]; a.status != want && a.status != http.StatusBadRequest {
		return fmt.Errorf("pay: got status %d: %.300s", a.status, a.body)
	}
	return nil
}

// follow polls the order until it is final.
func (s *shopper) follow(ctx context.Context) error {
	for {
		now, err := s.status(ctx)
		if err != nil {
			return err
		}
		if final(now) {
			s.end = now
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("order %s is still %s: %w", s.id, now, err)
		}
	}
}

func (s *shopper) status(ctx context.Context) (string, error) {
	a, err := s.send(ctx, call{method: http.MethodGet, url: s.deployment.shop.Storefront + "/api/orders/" + s.id, bearer: s.token})
	if err != nil {
		return "", err
	}
	var now struct {
		Status string `json:"status"`
	}
	return now.Status, a.into(http.StatusOK, &now)
}

func final(status string) bool {
	return slices.Contains([]string{"confirmed", "expired", "rejected", "cancelled"}, status)
}
