package main

import (
	"fmt"
	"testing"

	"tillstream/cmd/internal/proof/browsertest"
)

// visitor is a shopper with a browser.
type visitor struct {
	*browsertest.Tab
	shop  *testShop
	width int64
}

// enter opens a browser in a shop.
func enter(t *testing.T, ts *testShop, width int64) *visitor {
	t.Helper()
	return &visitor{Tab: browsertest.Open(t, width), shop: ts, width: width}
}

// look takes a screenshot and fails if the page scrolls sideways.
func (v *visitor) look(name string) {
	v.NoSideScroll()
	v.Shot(fmt.Sprintf("%d-%s", v.width, name))
}

// fillCheckout adds an item to the cart and fills in the checkout.
func (v *visitor) fillCheckout(sku, name, email string) {
	v.Visit(v.shop.Storefront + "/items/" + sku)
	v.Click("#add button")
	v.See("#status", "added to your cart")
	v.Visit(v.shop.Storefront + "/checkout")
	for field, value := range map[string]string{"#name": name, "#email": email, "#line1": "12 St James's Square", "#postal": "SW1Y 4JH", "#city": "London", "#country": "GB"} {
		v.Fill(field, value)
	}
	v.look("checkout")
}

// pay pays with one of the sandbox's test cards.
func (v *visitor) pay(card string) {
	v.See("#headline", "Your items are reserved")
	v.See(".pay [type=submit]", "Pay £")
	v.Click("[data-card='" + card + "']")
	v.Click(".pay [type=submit]")
}

// seeConfirmed waits until the page shows a confirmed order.
func (v *visitor) seeConfirmed(email string) {
	v.See("#headline", "Thank you, your order is confirmed")
	v.Until("scrollY === 0") // the headline is in the window, although the button was below it
	v.See("#story", email)
}

func TestShoppersBuyInTheBrowser(t *testing.T) {
	t.Parallel()
	ts := startShop(t, func(c *Config) { c.NoDemo = false })
	for _, width := range []int64{390, 1280} {
		t.Run(fmt.Sprintf("GoodCard/%d", width), func(t *testing.T) { buyInBrowser(t, ts, width) })
		t.Run(fmt.Sprintf("SoldOut/%d", width), func(t *testing.T) { soldOutInBrowser(t, ts, width) })
	}
	t.Run("DeclinedThenAnotherCard", func(t *testing.T) { declinedInBrowser(t, ts) })
	t.Run("ThreeDSecure", func(t *testing.T) { threeDSecureInBrowser(t, ts) })
}

func buyInBrowser(t *testing.T, ts *testShop, width int64) {
	v := enter(t, ts, width)
	email := fmt.Sprintf("ada-%d@example.com", width)
	v.Visit(ts.Storefront)
	v.look("catalogue")
	v.Fill("#q", "harbour mug")
	v.Click(".search button")
	v.See("h1", "Results for “harbour mug”")
	v.Click(".tile a[href='/items/MUG-HARBOUR']")
	v.See("h1", "Harbour Mug")
	v.look("item")
	v.fillCheckout("MUG-HARBOUR", "Ada Lovelace", email)
	v.Click("#place")
	v.See(".pay [type=submit]", "Pay £12.50")
	v.look("awaiting-payment")
	v.pay("4242424242424242")
	v.seeConfirmed(email)
	v.look("confirmed")
	got := ts.mailed(t, email, 1)[0]
	v.Visit(ts.Mail + "/mail?to=" + email)
	v.look("mail")
	v.Click("li a[href*='id=']")
	v.Until(fmt.Sprintf("document.body.innerText.includes(%q)", got.Subject))
	v.look("mail-open")
	v.Visit(ts.Storefront + "/docs")
	v.look("docs")
}

// soldOutInBrowser has another shopper buy the last item while this one fills in the checkout.
func soldOutInBrowser(t *testing.T, ts *testShop, width int64) {
	sku, email := fmt.Sprintf("LAST-%d", width), fmt.Sprintf("lola-%d@example.com", width)
	ts.list(t, sku, 4800, 1)
	v := enter(t, ts, width)
	v.fillCheckout(sku, "Lola Late", email)
	ts.buy(t, cart(fmt.Sprintf("rival-%d", width), line{sku, 1}))
	v.Click("#place")
	v.See("#headline", "Sorry, some items are out of stock")
	v.See("#short", "sold out.")
	v.See("#story", "You have not been charged.")
	v.look("rejected")
}

func declinedInBrowser(t *testing.T, ts *testShop) {
	v := enter(t, ts, 390)
	v.fillCheckout("TWINE-GREEN", "Dora Dee", "dora@example.com")
	v.Click("#place")
	v.pay("4000000000009995")
	v.See("#payment-problem", "There is not enough money on this card.")
	v.look("declined")
	v.pay("4242424242424242")
	v.seeConfirmed("dora@example.com")
	ts.mailed(t, "dora@example.com", 1)
}

func threeDSecureInBrowser(t *testing.T, ts *testShop) {
	v := enter(t, ts, 390)
	v.fillCheckout("NOTEBOOK-FIELD", "Sara Sey", "sara@example.com")
	v.Click("#place")
	v.pay("4000002500003155")
	v.See("h1", "Confirm your payment")
	v.look("bank")
	v.Click(".stop")
	v.See("#payment-problem", "Your bank did not approve the payment.")
	v.pay("4000002500003155")
	v.See("h1", "Confirm your payment")
	v.Click(".go")
	v.seeConfirmed("sara@example.com")
	ts.mailed(t, "sara@example.com", 1)
}
