package storefront_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/browsertest"
	"tillstream/events"
)

// Pages have amounts from the server and amounts that their scripts format. Both must be the same text, for every currency whose digits
// are not two and for every kind of amount.
func TestScriptsFormatAmountsAsTheServerDoes(t *testing.T) {
	v := enter(t, 1280)
	v.Visit(v.shop.URL + "/cart")
	var amounts []events.Money
	for code := range events.UnusualDigits() {
		amounts = append(amounts, money(1250, code))
	}
	for _, code := range []string{"EUR", "GBP", "USD", "CHF", "JPY", "KWD", "ISK", "UGX", "MGA"} {
		for _, amount := range []int64{0, 5, -1250, 125000, 125050, 123456789, 99999999999} {
			amounts = append(amounts, money(amount, code))
		}
	}
	list, err := json.Marshal(amounts)
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range []string{"en", "en-GB", "de", "de-AT", "ar-EG", "hi"} {
		want := map[string]string{}
		for _, m := range amounts {
			want[m.String()] = m.Format(language)
		}
		texts := browsertest.Evaluate[[]string](v.Tab, fmt.Sprintf(`(document.documentElement.lang = '%s',
			import(document.querySelector('script[src$="/cart.js"]').src.replace('cart.js', 'view.js')).then(({ format }) => %s.map(format)))`, language, list))
		got := map[string]string{}
		for i, text := range texts {
			got[amounts[i].String()] = text
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the server's text and the script's (-server +script):\n%s", language, diff)
		}
	}
}

func money(amount int64, code string) events.Money {
	return events.Money{Amount: amount, Currency: code}
}

// The catalogue has the server's text, the cart that of the script.
func TestPagesShowAmountsInTheUnitsOfTheCurrency(t *testing.T) {
	v := enter(t, 390)
	want := map[string]string{"ISK": "ISK\u00a01,250", "UGX": "UGX\u00a01,250", "JPY": "¥125,000", "KWD": "KWD\u00a0125.000", "MGA": "MGA\u00a0125,000", "EUR": "€1,250.00"}
	v.api.items = nil
	for code := range want {
		v.api.items = append(v.api.items, map[string]any{"sku": code, "title": "Mug for " + code, "price": money(125000, code), "available": 9, "tags": []string{"mug"}})
	}
	for code, text := range want {
		v.Visit(v.shop.URL + "/items/" + code)
		v.See(".price-big", text)
		v.Click("#add button")
		v.See("#status", "added to your cart")
		v.Visit(v.shop.URL + "/cart")
		v.See("#subtotal", text)
		v.Until(`(localStorage.clear(), true)`)
	}
}
