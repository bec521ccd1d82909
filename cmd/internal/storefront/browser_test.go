package storefront_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/cmd/internal/storefront"
)

// visitor is a shopper with a browser in a shop whose orders follow the test's script.
type visitor struct {
	*browsertest.Tab
	api  *api
	shop *httptest.Server
	name string // of pictures
}

// enter opens a shop and a browser for this test alone, beside the other tests.
func enter(t *testing.T, width int64) *visitor {
	t.Helper()
	t.Parallel()
	api := newAPI()
	shop := openShop(t, storefront.Config{API: api, SandboxURL: bank(t, api).URL})
	return &visitor{Tab: browsertest.Open(t, width), api: api, shop: shop, name: fmt.Sprint(width)}
}

// look checks the width and takes a picture.
func (v *visitor) look(name string) {
	v.NoSideScroll()
	v.Shot(v.name + "-" + name)
}

// openOrder goes to the order page as somebody with the link from the mail.
func (v *visitor) openOrder() {
	v.Visit(v.shop.URL + "/orders/" + orderID + "#token=" + secret)
}

func (v *visitor) fillCheckout() {
	v.Fill("#name", "Ada Lovelace")
	v.Fill("#email", "ada@example.com")
	v.Fill("#line1", "12 St James's Square")
	v.Fill("#postal", "SW1Y 4JH")
	v.Fill("#city", "London")
	v.Fill("#country", "GB")
}

// fillCart puts things in without walking through the shop.
func (v *visitor) fillCart() {
	v.Visit(v.shop.URL + "/cart")
	v.Until(`(localStorage.setItem('tillstream.cart', JSON.stringify([
		{sku: 'MUG-01', quantity: 2, title: 'Stoneware mug, ember glaze', price: {amount: 1250, currency: 'GBP'}},
		{sku: 'LAMP-02', quantity: 1, title: 'Reading lamp in brass', price: {amount: 6400, currency: 'GBP'}}])), true)`)
}

func TestShopperBuys(t *testing.T) {
	for _, width := range []int64{390, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) { buy(t, enter(t, width)) })
	}
}

func buy(t *testing.T, v *visitor) {
	v.Visit(v.shop.URL)
	v.look("catalogue")
	v.Fill("#q", "mug")
	v.Click(".search button")
	v.See("h1", "Results for “mug”")
	v.Click(".tile a")
	v.See(".stock", "12 available")
	v.Fill("#quantity", "2")
	v.Click("#add button")
	v.See("#said", "2 in your cart")
	v.See("[data-cart-count]", "2")
	v.look("item")
	v.Visit(v.shop.URL + "/items/LAMP-02")
	v.See(".stock", "Only 3 left")
	v.Click("#add button")
	v.Click("#said a")

	v.See("#subtotal", "£89.00")
	v.look("cart")
	v.Click("#go")
	v.See("#subtotal", "£89.00")
	v.Click("#place")
	v.See("#name-wrong", "Please fill this in.")
	v.See("#country-wrong", "Please choose a country.")
	v.look("checkout-wrong")
	v.fillCheckout()
	v.api.refusals = []string{`{"title":"Unprocessable Entity","status":422,"detail":"validation failed",
		"errors":[{"location":"body.shipping_address.postal_code","message":"is not a postcode of GB"}]}`}
	v.Click("#place")
	v.See("#postal-wrong", "is not a postcode of GB")
	v.Fill("#postal", "SW1Y 4JZ")
	v.look("checkout")
	v.Click("#place")
	follow(t, v)

	var sent map[string]any
	if err := json.Unmarshal([]byte(v.api.bodies[len(v.api.bodies)-1]), &sent); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"name": "Ada Lovelace", "email": "ada@example.com", "locale": "en",
		"shipping_address": map[string]any{"line1": "12 St James's Square", "postal_code": "SW1Y 4JZ", "city": "London", "country": "GB"},
		"lines":            []any{map[string]any{"sku": "MUG-01", "quantity": 2.0}, map[string]any{"sku": "LAMP-02", "quantity": 1.0}}}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("order as sent (-want +got):\n%s", diff)
	}
}

// follow lives through the order page: held, a card without money, a good card, confirmed.
func follow(t *testing.T, v *visitor) {
	v.See("#headline", "Setting your things aside")
	v.See("#number", "8F3K2-MQD7A")
	v.look("order-placed")
	v.api.setPayment("intent_created", nil)
	v.api.set("awaiting_payment", nil)
	v.See("#headline", "Your things are set aside")
	v.See(".pay [type=submit]", "Pay £92.95")
	v.look("order-pay")
	v.Click("[data-card='4000000000009995']")
	v.Click(".pay [type=submit]")
	v.See("#payment-problem", "There is not enough money on this card.")
	v.look("order-declined")
	v.Click("[data-card='4242424242424242']")
	v.Click(".pay [type=submit]")
	v.See("#payment-wait", "Payment received")
	v.api.set("capturing", nil)
	v.See("#headline", "Payment received")
	v.api.set("confirmed", nil)
	v.See("#headline", "your order is confirmed")
	v.See("#story", "ada@example.com")
	v.See("#sums", "£92.95")
	v.look("order-confirmed")
	if badge := browsertest.Evaluate[bool](v.Tab, `document.querySelector('[data-cart-count]').hidden`); !badge {
		t.Error("the cart still counts what was bought")
	}
}

func TestOrderThatEndsOtherwise(t *testing.T) {
	v := enter(t, 390)
	v.api.set("rejected", map[string]any{"reason": map[string]any{"code": "out_of_stock", "message": "Not enough stock.",
		"short": []map[string]any{{"sku": "LAMP-02", "requested": 1, "available": 0}, {"sku": "MUG-01", "requested": 2, "available": 1}}}})
	v.openOrder()
	v.See("#headline", "could not set everything aside")
	v.See("#short", "Reading lamp in brass: sold out.")
	v.See("#short", "Stoneware mug, ember glaze: you asked for 2, 1 is left.")
	v.look("order-rejected")
	if address := browsertest.Evaluate[string](v.Tab, "location.href"); strings.Contains(address, secret) {
		t.Errorf("the token is still in the address: %s", address)
	}
	v.Click("#refill")
	v.See("#lines", "Stoneware mug")
	v.See("#subtotal", "£12.50")

	for status, headline := range map[string]string{
		"expired": "The time to pay has run out", "paid_late": "after the time had run out", "under_review": "Your order is under review",
		"confirmed fulfilled": "Your order is on its way", "confirmed partly_fulfilled": "Part of your order is on its way", "confirmed delivered": "has arrived",
		"confirmed fulfilled refunded": "Your money is on its way back", "confirmed unfulfilled partly_refunded": "Part of your money",
	} {
		statuses := append(strings.Fields(status), "", "")
		v.api.set(statuses[0], map[string]any{"fulfilment_status": statuses[1], "payment_status": statuses[2]})
		v.openOrder() // same address but for the fragment, which a browser does not load again
		v.Reload()
		v.See("#headline", headline)
		v.look("order-" + strings.ReplaceAll(status, " ", "-"))
	}
}

func TestShopperCancels(t *testing.T) {
	v := enter(t, 390)
	v.api.setPayment("intent_created", nil)
	v.api.set("awaiting_payment", nil)
	v.openOrder()
	v.Click("#cancel")
	v.See("#cancel-dialog", "Cancel this order?")
	v.Shot("390-order-cancel")
	v.Click("#cancel-dialog [value=keep]")
	v.See("#headline", "Your things are set aside")
	v.Click("#cancel")
	v.Click("#cancel-dialog [value=cancel]")
	v.See("#headline", "This order is cancelled")
	v.Until(`document.getElementById('payment').hidden && document.getElementById('cancel-row').hidden`)
}

func TestStrangerSeesNothing(t *testing.T) {
	v := enter(t, 1280)
	v.api.set("confirmed", nil)
	v.Visit(v.shop.URL + "/orders/" + orderID)
	v.See("#headline", "We cannot show this order")
	v.look("order-stranger")
	if text := v.Text("main"); strings.Contains(text, "Ada") || strings.Contains(text, "8F3K2") {
		t.Errorf("a stranger reads %q", text)
	}
}

func TestBankRefusesInThreeDSecure(t *testing.T) {
	v := enter(t, 390)
	v.api.setPayment("intent_created", nil)
	v.api.set("awaiting_payment", nil)
	v.openOrder()
	v.Click("[data-card='4000002500003155']")
	v.Click(".pay [type=submit]")
	v.See("#payment-problem", "Your bank did not approve the payment.")
	v.See(".pay [type=submit]", "Pay £92.95")
	if search := browsertest.Evaluate[string](v.Tab, "location.search"); search != "" {
		t.Errorf("the client secret is still in the address: %s", search)
	}
}

func TestOrderPageSurvivesBrokenStreams(t *testing.T) {
	v := enter(t, 390)
	v.api.set("placed", nil)
	v.openOrder()
	v.See("#headline", "Setting your things aside")
	v.api.cutStreams()
	v.api.setPayment("intent_created", nil)
	v.api.set("awaiting_payment", nil)
	v.See("#headline", "Your things are set aside")

	v.api.mu.Lock()
	v.api.noStream = true
	v.api.mu.Unlock()
	v.api.cutStreams()
	v.api.set("confirmed", nil)
	v.See("#headline", "your order is confirmed") // by asking
	v.api.mu.Lock()
	defer v.api.mu.Unlock()
	if v.api.streams < 3 {
		t.Errorf("%d streams were opened, want one per connection that was cut and one refused", v.api.streams)
	}
}

// An answer may break off after its headers. What it said is unknown then, as if there had been none: the page goes on asking.
func TestAnswersThatBreakOff(t *testing.T) {
	t.Run("Payment", func(t *testing.T) {
		v := enter(t, 390)
		v.api.halves = 1
		v.api.setPayment("intent_created", nil)
		v.api.set("awaiting_payment", nil)
		v.openOrder()
		v.See(".pay [type=submit]", "Pay £92.95")
	})
	t.Run("Order", func(t *testing.T) {
		v := enter(t, 390)
		v.fillCart()
		v.Visit(v.shop.URL + "/checkout")
		v.fillCheckout()
		v.api.halves = 1
		v.Click("#place")
		v.See("#problem", "The shop cannot be reached right now.")
		v.Click("#place")
		v.See("#headline", "Setting your things aside")
		if posts, keys := v.api.posts(); posts != 2 || keys != 1 {
			t.Errorf("%d posts under %d keys, want 2 under 1", posts, keys)
		}
	})
}

func TestOneCartMakesOneOrder(t *testing.T) {
	v := enter(t, 1280)
	v.fillCart()
	v.Visit(v.shop.URL + "/checkout")
	v.fillCheckout()
	// The first answers are lost: the shopper presses again, then loads the page again and presses once more.
	v.api.refusals = []string{`{"title":"Bad Gateway","status":502}`, `{"title":"Bad Gateway","status":502}`}
	v.Click("#place")
	v.See("#problem", "Bad Gateway")
	v.Until(`!document.getElementById('place').disabled`)
	v.Click("#place")
	v.See("#problem", "Bad Gateway")
	v.Reload()
	v.See("#subtotal", "£89.00")
	v.Until(`(() => { const it = document.getElementById('place'); it.click(); it.click(); return true; })()`)
	v.See("#headline", "Setting your things aside")
	if posts, keys := v.api.posts(); posts != 3 || keys != 1 || v.api.keys[0] == "" {
		t.Errorf("%d posts under %d keys (%q), want 3 under 1", posts, keys, v.api.keys)
	}
}

func TestCartTellsWhatChanged(t *testing.T) {
	v := enter(t, 390)
	v.fillCart()
	v.api.items[0]["price"] = gbp(1300)
	v.api.items[1]["available"] = 0
	v.Visit(v.shop.URL + "/cart")
	v.See("#lines", "The price changed from £12.50 to £13.00.")
	v.See("#lines", "Sold out. Please remove it.")
	v.See("#blocked", "Please mend the marked lines")
	v.look("cart-changed")
	v.Until(`!document.getElementById('go').hasAttribute('href')`)
	v.Click(".line:nth-child(2) button")
	v.See("#subtotal", "£26.00")
	v.Until(`document.getElementById('go').getAttribute('href') === '/checkout'`)
	v.Click(".line button")
	v.See("#empty", "There is nothing in it yet.")
	v.look("cart-empty")
}

// TestPagesFitPhones also takes pictures of what no other test passes by.
func TestPagesFitPhones(t *testing.T) {
	for _, width := range []int64{320, 390, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			api := newAPI()
			shop := openShop(t, storefront.Config{API: api, OpenAPI: func() []byte { return []byte(sampleOpenAPI) }})
			tab := browsertest.Open(t, width)
			for name, path := range map[string]string{"home": "/", "none": "/?q=zzz", "item-evil": "/items/EVIL-04",
				"item-sold-out": "/items/THROW-03", "docs": "/docs", "missing": "/nowhere", "down": "/?q=down"} {
				tab.Visit(shop.URL + path)
				tab.NoSideScroll()
				tab.Shot(fmt.Sprintf("%d-%s", width, name))
			}
			tab.Dark()
			tab.Visit(shop.URL)
			tab.Shot(fmt.Sprintf("%d-dark", width))
		})
	}
}

// TestPaymentElementOffline shows what a shopper reads when Stripe's script cannot be loaded: the browser here reaches
// this machine only.
func TestPaymentElementOffline(t *testing.T) {
	t.Parallel()
	api := newAPI()
	api.setPayment("intent_created", nil)
	api.set("awaiting_payment", nil)
	shop := openShop(t, storefront.Config{API: api})
	tab := browsertest.Open(t, 390)
	tab.Visit(shop.URL + "/orders/" + orderID + "#token=" + secret)
	tab.See("#payment-problem", "The payment form could not be loaded.")
}
