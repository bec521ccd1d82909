package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// order is an order that an attacker has placed.
type order struct {
	ID    string `json:"id"`
	Token string `json:"access_token"`
}

// payment is what a browser needs to pay an order.
type payment struct {
	Intent         string `json:"payment_intent"`
	ClientSecret   string `json:"client_secret"`
	PublishableKey string `json:"publishable_key"`
}

type line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// placement returns the body of an order.
func placement(email, name string, lines ...line) []byte {
	body, err := json.Marshal(map[string]any{"email": email, "name": name, "lines": lines,
		"shipping_address": map[string]string{"line1": "1 Market Place", "city": "Anytown", "postal_code": "10000", "country": "GB"}})
	if err != nil {
		panic(err) // strings and numbers can be encoded
	}
	return body
}

// place places an order.
func (a *attacker) place(ctx context.Context, body []byte) (placed order, ok bool) {
	if a.send(a.request(ctx, http.MethodPost, "/api/orders", body), &placed) != http.StatusCreated {
		return order{}, false
	}
	if a.config.Placed != nil {
		if err := a.config.Placed(placed.ID); err != nil {
			a.result.breaks("order %s was placed and could not be recorded: %v", placed.ID, err)
		}
	}
	return placed, true
}

// orderEverything orders many units of every item, for an address of its own each time, and never pays.
func orderEverything(ctx context.Context, a *attacker) {
	var lines []line
	quantity := one(a, int64(1), 10, 1000, 1_000_000)
	for _, sku := range a.config.SKUs[:min(len(a.config.SKUs), 100)] {
		lines = append(lines, line{sku, quantity})
	}
	a.place(ctx, placement(a.text(12, hexDigits)+"@example.org", "A Stranger", lines...))
}

// orderForVictim orders for the address of another person, who would get the mails.
func orderForVictim(ctx context.Context, a *attacker) {
	name := one(a, "Win a prize", "https://evil.example/win", "\u200b\u200b\u200b", "evil.example", "\u202eelpmaxe")
	a.place(ctx, placement("victim@example.org", name, line{one(a, a.config.SKUs...), 1}))
}

// cardsPerOrder is how many cards an attacker tries on one order.
const cardsPerOrder = 40

// tryCards places an order and tries many cards, as thieves do to find out which ones work. All are declined.
func tryCards(ctx context.Context, a *attacker) {
	if a.order.ID == "" || a.random.IntN(cardsPerOrder) == 0 {
		a.order, a.payment = order{}, payment{}
		placed, ok := a.place(ctx, placement("cards-"+a.text(6, hexDigits)+"@example.org", "A Thief", line{one(a, a.config.SKUs...), 1}))
		if !ok {
			return
		}
		a.order = placed
	}
	if a.payment.ClientSecret == "" {
		r := a.request(ctx, http.MethodGet, "/api/orders/"+a.order.ID+"/payment?wait=5", nil)
		r.Header.Set("Authorization", "Bearer "+a.order.Token)
		a.send(r, &a.payment)
		return
	}
	a.tryCard(ctx)
}

func (a *attacker) tryCard(ctx context.Context) {
	card := one(a, "pm_card_visa_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds", "pm_card_chargeDeclinedStolenCard")
	form := url.Values{"client_secret": {a.payment.ClientSecret}, "payment_method": {card}}
	r := a.requestTo(ctx, http.MethodPost, fmt.Sprintf("%s/v1/payment_intents/%s/confirm", a.config.Stripe, url.PathEscape(a.payment.Intent)), []byte(form.Encode()))
	key := a.config.PublishableKey
	if key == "" {
		key = a.payment.PublishableKey
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.send(r, nil) == http.StatusBadRequest {
		a.order = order{} // the intent is cancelled: the next step needs another order
	}
}

// openStream opens an event stream of an order of its own, and neither reads nor closes it.
func openStream(ctx context.Context, a *attacker) {
	if a.order.ID == "" {
		a.order, _ = a.place(ctx, placement("streams-"+a.text(6, hexDigits)+"@example.org", "A Stranger", line{one(a, a.config.SKUs...), 1}))
		return
	}
	r := a.request(ctx, http.MethodGet, "/api/orders/"+a.order.ID+"/events", nil)
	r.Header.Set("Authorization", "Bearer "+a.order.Token)
	client := http.Client{Transport: a.http.Transport} // without the time limit of other requests
	response, err := client.Do(r)
	if err != nil {
		a.result.unanswered(ctx, err)
		return
	}
	a.result.answered("GET /api/orders/ID/events", response.StatusCode, response.Header)
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		a.held = append(a.held, response.Body)
		return
	}
	_ = response.Body.Close() // it was refused
}
