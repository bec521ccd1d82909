//go:build unix

package crashtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"
)

// intention is what a shopper is going to do with an order.
type intention string

const (
	pays     intention = "pays"
	declined intention = "declined" // has no good card
	leaves   intention = "leaves"   // without paying
)

// shopper orders one lamp and two mugs, and stays until the order has come to its end. Whoever does not answer is asked
// again, by the same request.
type shopper struct {
	intention
	world  *world
	name   string
	client *http.Client
	taken  *atomic.Int64 // orders answered 201 to anybody

	done chan struct{} // closed when the order has ended or the shopper has given up; then the rest may be read
	id   string        // "" unless the order was answered 201
	bill string        // access token
	end  string        // status of the order
	err  error         // why the shopper has given up

	heard bool // the test knows what has become of them
}

// Bounds of a shopper's patience.
const (
	answerTime = 3 * time.Second        // for one answer: a process that stands still gives none
	askAgain   = 100 * time.Millisecond // after so long
	wholeVisit = 150 * time.Second
)

// address is where the shopper gets mail.
func (s *shopper) address() string { return s.name + "@example.com" }

func (s *shopper) visit(ctx context.Context) {
	defer close(s.done)
	ctx, cancel := context.WithTimeout(ctx, wholeVisit)
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
	s.err = s.follow(ctx)
}

// order is the body of the request, and of its answer what matters here.
type order struct {
	Email   string         `json:"email"`
	Name    string         `json:"name"`
	Address map[string]any `json:"shipping_address"`
	Lines   []any          `json:"lines"`
}

// wanted is the request to place the order, the same however often it is asked for.
func (s *shopper) wanted() (wish, error) {
	body, err := json.Marshal(order{Email: s.address(), Name: s.name,
		Address: map[string]any{"line1": "1 Market Place", "city": "Anytown", "postal_code": "10000", "country": "GB"},
		Lines:   []any{map[string]any{"sku": "LAMP", "quantity": 1}, map[string]any{"sku": "MUG", "quantity": 2}}})
	return wish{method: http.MethodPost, url: s.world.shop.Storefront + "/api/orders", key: "key-of-" + s.name, kind: "application/json", body: body}, err
}

func (s *shopper) place(ctx context.Context) error {
	w, err := s.wanted()
	if err != nil {
		return err
	}
	a, err := s.ask(ctx, w)
	if err != nil {
		return err
	}
	return s.placed(a)
}

// placed takes the answer to the order.
func (s *shopper) placed(a answer) error {
	var placed struct {
		ID          string `json:"id"`
		AccessToken string `json:"access_token"`
	}
	if err := a.into(http.StatusCreated, &placed); err != nil {
		return err
	}
	s.id, s.bill = placed.ID, placed.AccessToken
	s.taken.Add(1)
	return nil
}

// offer is how an order can be paid.
type offer struct {
	Status       string `json:"status"`
	Intent       string `json:"payment_intent"`
	ClientSecret string `json:"client_secret"`
}

// checkout waits until there is something to pay with. An order that ends before is one that somebody has forgotten.
func (s *shopper) checkout(ctx context.Context) (offer, error) {
	for {
		a, err := s.ask(ctx, wish{method: http.MethodGet, url: s.world.shop.Storefront + "/api/orders/" + s.id + "/payment?wait=1", bearer: s.bill})
		if err != nil {
			return offer{}, err
		}
		var o offer
		if a.status != http.StatusNotFound { // else it has not been asked for yet
			if err := a.into(http.StatusOK, &o); err != nil || o.ClientSecret != "" {
				return o, err
			}
		}
		if now, err := s.status(ctx); err != nil || final(now) {
			return o, errors.Join(err, fmt.Errorf("order %s is %q and its payment %q before there was anything to pay with", s.id, now, o.Status))
		}
		if err := pause(ctx); err != nil {
			return o, fmt.Errorf("order %s: the payment is %q: %w", s.id, o.Status, err)
		}
	}
}

func (s *shopper) pay(ctx context.Context, o offer) error {
	card := "pm_card_visa"
	if s.intention == declined {
		card = "pm_card_chargeDeclined"
	}
	form := url.Values{"client_secret": {o.ClientSecret}, "payment_method": {card}}
	a, err := s.ask(ctx, wish{method: http.MethodPost, url: s.world.shop.Stripe + "/v1/payment_intents/" + o.Intent + "/confirm",
		bearer: s.world.shop.StripePublishableKey, kind: "application/x-www-form-urlencoded", body: []byte(form.Encode())})
	if err != nil {
		return err
	}
	// 400: the intent has been cancelled meanwhile, or an earlier attempt arrived although its answer did not.
	if want := map[intention]int{pays: http.StatusOK, declined: http.StatusPaymentRequired}[s.intention]; a.status != want && a.status != http.StatusBadRequest {
		return fmt.Errorf("paying was answered %d: %.300s", a.status, a.body)
	}
	return nil
}

// follow asks how the order stands until it has ended.
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
	a, err := s.ask(ctx, wish{method: http.MethodGet, url: s.world.shop.Storefront + "/api/orders/" + s.id, bearer: s.bill})
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
