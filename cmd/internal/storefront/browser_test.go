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

// visitor is a shopper with a browser, in a shop with a fake API.
type visitor struct {
	*browsertest.Tab
	api  *api
	shop *httptest.Server
	name string // prefix of screenshots
}

// enter opens a shop and a browser for this test, which runs in parallel to others.
func enter(t *testing.T, width int64) *visitor {
	t.Helper()
	t.Parallel()
	api := newAPI()
	shop := openShop(t, storefront.Config{API: api, SandboxURL: startBank(t, api).URL})
	return &visitor{Tab: browsertest.Open(t, width), api: api, shop: shop, name: fmt.Sprint(width)}
}

// look takes a screenshot and fails if the page scrolls sideways.
func (v *visitor) look(name string) {
	v.NoSideScroll()
	v.Shot(v.name + "-" + name)
}

// openOrder opens the order page by the link of the e-mails.
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

// openAwaitingPayment opens the page of an order that awaits payment.
func (v *visitor) openAwaitingPayment() {
	v.api.setPayment("intent_created", nil)
	v.api.set("awaiting_payment", nil)
	v.openOrder()
}

// fillCart fills the cart without visiting item pages.
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
	v.See(".stock", "12 in stock")
	v.Fill("#quantity", "2")
	v.Click("#add button")
	v.See("#status", "2 added to your cart")
	v.See("[data-cart-count]", "2")
	v.look("item")
	v.Visit(v.shop.URL + "/items/LAMP-02")
	v.See(".stock", "Only 3 left")
	v.Click("#add button")
	v.Click("#status a")

	v.See("#subtotal", "£89.00")
	v.look("cart")
	v.Click("#go")
	v.See("#subtotal", "£89.00")
	v.Click("#place")
	v.See("#name-error", "Please fill in this field.")
	v.See("#country-error", "Please choose a country.")
	v.look("checkout-invalid")
	v.fillCheckout()
	v.api.refusals = []string{`{"title":"Unprocessable Entity","status":422,"detail":"validation failed",
		"errors":[{"location":"body.shipping_address.postal_code","message":"is not a postcode of GB"}]}`}
	v.Click("#place")
	v.See("#postal-error", "Is not a postcode of GB")
	v.Fill("#postal", "SW1Y 4JZ")
	v.look("checkout")
	v.Click("#place")
	followOrder(t, v)

	var sent map[string]any
	if err := json.Unmarshal([]byte(v.api.bodies[len(v.api.bodies)-1]), &sent); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"name": "Ada Lovelace", "email": "ada@example.com", "locale": "en",
		"shipping_address": map[string]any{"line1": "12 St James's Square", "postal_code": "SW1Y 4JZ", "city": "London", "country": "GB"},
		"lines":            []any{map[string]any{"sku": "MUG-01", "quantity": 2.0}, map[string]any{"sku": "LAMP-02", "quantity": 1.0}}}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("POST /api/orders body (-want +got):\n%s", diff)
	}
}

// followOrder goes from a placed order over a declined card to a confirmed order.
func followOrder(t *testing.T, v *visitor) {
	v.See("#headline", "Reserving your items")
	v.See("#number", "8F3K2-MQD7A")
	v.look("order-placed")
	v.api.setPayment("intent_created", nil)
	v.api.set("awaiting_payment", nil)
	v.See("#headline", "Your items are reserved")
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
		t.Error("the cart badge is visible after the purchase, want it hidden")
	}
}

func TestOrderPageExplainsEveryStatus(t *testing.T) {
	v := enter(t, 390)
	v.api.set("rejected", map[string]any{"reason": map[string]any{"code": "out_of_stock", "message": "Not enough stock.",
		"short": []map[string]any{{"sku": "LAMP-02", "requested": 1, "available": 0}, {"sku": "MUG-01", "requested": 2, "available": 1}}}})
	v.openOrder()
	v.See("#headline", "some items are out of stock")
	v.See("#short", "Reading lamp in brass: sold out.")
	v.See("#short", "Stoneware mug, ember glaze: only 1 left, you ordered 2.")
	v.look("order-rejected")
	if address := browsertest.Evaluate[string](v.Tab, "location.href"); strings.Contains(address, secret) {
		t.Errorf("address = %s, want it without the token", address)
	}
	v.Click("#refill")
	v.See("#lines", "Stoneware mug")
	v.See("#subtotal", "£12.50")

	for status, headline := range map[string]string{
		"expired": "The time to pay has run out", "paid_late": "arrived after the time", "under_review": "Your order is under review",
		"confirmed fulfilled": "Your order is on its way", "confirmed partly_fulfilled": "Part of your order is on its way", "confirmed delivered": "has been delivered",
		"confirmed fulfilled refunded": "Your order is refunded", "confirmed unfulfilled partly_refunded": "Part of your order is refunded",
		"confirmed partly_fulfilled authorized": "Part of your order is on its way",
	} {
		statuses := append(strings.Fields(status), "", "")
		v.api.set(statuses[0], map[string]any{"fulfilment_status": statuses[1], "payment_status": statuses[2]})
		v.openOrder() // differs in the fragment only, so a browser does not load it again
		v.Reload()
		v.See("#headline", headline)
		v.Until(`document.getElementById('after').hidden`)
		v.look("order-" + strings.ReplaceAll(status, " ", "-"))
	}
}

func TestShopperCancelsOrder(t *testing.T) {
	v := enter(t, 390)
	v.openAwaitingPayment()
	v.Click("#cancel")
	v.See("#cancel-dialog", "Cancel this order?")
	v.Shot("390-order-cancel")
	v.Click("#cancel-dialog [value=keep]")
	v.See("#headline", "Your items are reserved")
	v.Click("#cancel")
	v.Click("#cancel-dialog [value=cancel]")
	v.See("#headline", "Your order is cancelled")
	v.Until(`document.getElementById('short').hidden && document.getElementById('payment').hidden && document.getElementById('cancel-row').hidden`)
}

// The sums of an order name what the shopper does not pay, because it is not sent.
func TestOrderPageShowsWhatIsNotCharged(t *testing.T) {
	v := enter(t, 390)
	v.api.set("confirmed", map[string]any{"payment_status": "paid", "fulfilment_status": "fulfilled", "cancelled": []map[string]any{{"sku": "MUG-01", "quantity": 1}}})
	v.Visit(v.shop.URL + "/orders/" + orderID + "#token=" + secret)
	v.See("#sums", "Not sent, not charged")
	v.See("#sums", "£12.50")
	v.NoSideScroll()
}

func TestOrderPageWithoutTokenShowsNothing(t *testing.T) {
	v := enter(t, 1280)
	v.api.set("confirmed", nil)
	v.Visit(v.shop.URL + "/orders/" + orderID)
	v.See("#headline", "Order not found")
	v.look("order-without-token")
	if text := v.Text("main"); strings.Contains(text, "Ada") || strings.Contains(text, "8F3K2") {
		t.Errorf("page without token = %q, want no data of the order", text)
	}
}

func TestRefusedThreeDSecureOffersPaymentAgain(t *testing.T) {
	v := enter(t, 390)
	v.openAwaitingPayment()
	v.Click("[data-card='4000002500003155']")
	v.Click(".pay [type=submit]")
	v.See("#payment-problem", "Your bank did not approve the payment.")
	v.See(".pay [type=submit]", "Pay £92.95")
	if search := browsertest.Evaluate[string](v.Tab, "location.search"); search != "" {
		t.Errorf("query = %s, want none: it contains the client secret", search)
	}
}

func TestOrderPageSurvivesBrokenStreams(t *testing.T) {
	v := enter(t, 390)
	v.api.set("placed", nil)
	v.openOrder()
	v.See("#headline", "Reserving your items")
	v.api.cutStreams()
	v.api.setPayment("intent_created", nil)
	v.api.set("awaiting_payment", nil)
	v.See("#headline", "Your items are reserved")

	v.api.mu.Lock()
	v.api.noStream = true
	v.api.mu.Unlock()
	v.api.cutStreams()
	v.api.set("confirmed", nil)
	v.See("#headline", "your order is confirmed") // by polling
	v.api.mu.Lock()
	defer v.api.mu.Unlock()
	if v.api.streams < 3 {
		t.Errorf("%d streams were opened, want 3: two that were cut and one refused", v.api.streams)
	}
}

// An answer that breaks off after its headers counts as none, so the page tries again.
func TestTruncatedAnswersAreRetried(t *testing.T) {
	t.Run("Payment", func(t *testing.T) {
		v := enter(t, 390)
		v.api.halves = 1
		v.openAwaitingPayment()
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
		v.See("#headline", "Reserving your items")
		if posts, keys := v.api.posts(); posts != 2 || keys != 1 {
			t.Errorf("%d posts with %d keys, want 2 with 1", posts, keys)
		}
	})
}

func TestRepeatedCheckoutPlacesOneOrder(t *testing.T) {
	v := enter(t, 1280)
	v.fillCart()
	v.Visit(v.shop.URL + "/checkout")
	v.fillCheckout()
	// The first answers are lost: the shopper presses the button again, then reloads the page and presses it twice.
	v.api.refusals = []string{`{"title":"Bad Gateway","status":502}`, `{"title":"Bad Gateway","status":502}`}
	v.Click("#place")
	v.See("#problem", "The shop cannot be reached right now.")
	v.Until(`!document.getElementById('place').disabled`)
	v.Click("#place")
	v.See("#problem", "The shop cannot be reached right now.")
	v.Reload()
	v.See("#subtotal", "£89.00")
	v.Until(`(() => { const it = document.getElementById('place'); it.click(); it.click(); return true; })()`)
	v.See("#headline", "Reserving your items")
	if posts, keys := v.api.posts(); posts != 3 || keys != 1 || v.api.keys[0] == "" {
		t.Errorf("%d posts with %d keys (%q), want 3 with 1", posts, keys, v.api.keys)
	}
}

func TestCartShowsChangedPriceAndStock(t *testing.T) {
	v := enter(t, 390)
	v.fillCart()
	v.api.items[0]["price"] = gbp(1300)
	v.api.items[1]["available"] = 0
	v.Visit(v.shop.URL + "/cart")
	v.See("#lines", "The price has changed from £12.50 to £13.00.")
	v.See("#lines", "Sold out. Please remove this item.")
	v.See("#blocked", "Please correct the highlighted items.")
	v.look("cart-changed")
	v.Until(`!document.getElementById('go').hasAttribute('href')`)
	v.Click(".line:nth-child(2) button")
	v.See("#subtotal", "£26.00")
	v.Until(`document.getElementById('go').getAttribute('href') === '/checkout'`)
	v.Click(".line button")
	v.See("#empty", "Your cart is empty.")
	v.look("cart-empty")
}

// It also takes screenshots of the pages that no other test visits.
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
			tab.Scheme("dark")
			tab.Visit(shop.URL)
			tab.Shot(fmt.Sprintf("%d-dark", width))
		})
	}
}

// The test's browser reaches this machine only, so it cannot load Stripe's script.
func TestBlockedPaymentElementShowsError(t *testing.T) {
	t.Parallel()
	api := newAPI()
	api.setPayment("intent_created", nil)
	api.set("awaiting_payment", nil)
	shop := openShop(t, storefront.Config{API: api})
	tab := browsertest.Open(t, 390)
	tab.Visit(shop.URL + "/orders/" + orderID + "#token=" + secret)
	tab.See("#payment-problem", "The payment form could not be loaded.")
}
