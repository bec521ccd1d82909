package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/orders"
)

func gbp(pence int64) events.Money { return events.Money{Amount: pence, Currency: "GBP"} }

func TestBuying(t *testing.T) {
	m := startShop(t, func(c *Config) { c.ShippingFee = orders.ShippingFees{"GBP": 395} })
	m.list(t, "MUG", 1250, 50)
	m.list(t, "LAMP", 6400, 50)
	t.Run("InEnglish", func(t *testing.T) { buyInEnglish(t, m) })
	t.Run("InGerman", func(t *testing.T) { buyInGerman(t, m) })
	t.Run("ThePriceComesFromTheCatalogue", func(t *testing.T) { priceFromCatalogue(t, m) })
	t.Run("OneLineOfAnItemPerOrder", func(t *testing.T) { linesAreSummed(t, m) })
	t.Run("TheOrderIsOnStaffsList", func(t *testing.T) { onStaffsList(t, m) })
}

func buyInEnglish(t *testing.T, m *testShop) {
	before := m.stock(t, "MUG")
	placed := m.place(t, cart("ada", line{"MUG", 2}, line{"LAMP", 1}))
	want := []events.OrderLine{
		{SKU: "MUG", Title: "A mug", Quantity: 2, UnitPrice: gbp(1250), Total: gbp(2500)},
		{SKU: "LAMP", Title: "A lamp", Quantity: 1, UnitPrice: gbp(6400), Total: gbp(6400)},
	}
	if diff := cmp.Diff(want, placed.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if placed.Status != "placed" || placed.Subtotal != gbp(8900) || placed.Shipping != gbp(395) || placed.Total != gbp(9295) {
		t.Errorf("placed as %+v", placed)
	}
	offer := m.checkout(t, placed)
	if offer.Amount != 9295 || offer.Currency != "GBP" || offer.PublishableKey != m.StripePublishableKey {
		t.Errorf("to be paid by %+v", offer)
	}
	if got := m.stock(t, "MUG"); got != (level{before.OnHand, before.Available - 2, before.Held + 2}) {
		t.Errorf("stock while the payment is awaited: %+v, before %+v", got, before)
	}
	var in intent
	m.pay(t, offer, goodCard).into(t, http.StatusOK, &in)
	m.becomes(t, placed, "confirmed")
	m.stockBecomes(t, "MUG", level{before.OnHand - 2, before.Available - 2, before.Held})
	m.charged(t, placed)
	if now := m.payment(t, placed); now.Status != "captured" || now.ClientSecret != "" {
		t.Errorf("the payment is %s and its secret %q", now.Status, now.ClientSecret)
	}
	got := m.mailed(t, placed.Email, 1)[0]
	if want := "Order " + placed.Number + " is confirmed"; got.Subject != want || !strings.Contains(got.Text, "£92.95") {
		t.Errorf("the mail says %q and\n%s\nwant %q and the total", got.Subject, got.Text, want)
	}
	link := m.Storefront + "/orders/" + placed.ID + "#token=" + placed.AccessToken
	if !strings.Contains(got.Text, link) || !strings.Contains(got.HTML, "2") || !strings.Contains(got.HTML, "A mug") {
		t.Errorf("the mail does not lead to %s, or its HTML part does not say what was bought:\n%s\n%s", link, got.Text, got.HTML)
	}
}

func buyInGerman(t *testing.T, m *testShop) {
	p := cart("grete", line{"LAMP", 1})
	p.Locale = "de-AT"
	bought := m.buy(t, p)
	got := m.mailed(t, p.Email, 1)[0]
	if want := "Ihre Bestellung " + bought.Number + " ist bestätigt"; got.Subject != want {
		t.Errorf("the mail says %q, want %q", got.Subject, want)
	}
	if !strings.Contains(got.Text, "67,95\u00a0£") || !strings.Contains(got.Text, "Vereinigtes Königreich") {
		t.Errorf("the mail does not write money and countries as Germans do:\n%s", got.Text)
	}
}

func priceFromCatalogue(t *testing.T, m *testShop) {
	m.list(t, "VASE", 2000, 10)
	first := m.post(t, cart("petra", line{"VASE", 1}), "before")
	var cheap, dear order
	first.into(t, http.StatusCreated, &cheap)
	m.list(t, "VASE", 2400, 9)
	waitFor(t, "the new price counts", func() bool {
		dear = m.place(t, cart("petra", line{"VASE", 1}))
		return dear.Subtotal == gbp(2400)
	})
	if cheap.Subtotal != gbp(2000) || m.read(t, cheap).Subtotal != gbp(2000) {
		t.Errorf("the price of an order changed after it was placed: %s", m.read(t, cheap).Subtotal)
	}
	if again := m.post(t, cart("petra", line{"VASE", 1}), "before"); !bytes.Equal(again.Body, first.Body) {
		t.Errorf("after a change of price the retry answers\n%s\nwant\n%s", again.Body, first.Body)
	}
}

func linesAreSummed(t *testing.T, m *testShop) {
	placed := m.place(t, cart("tom", line{"MUG", 1}, line{"LAMP", 1}, line{"MUG", 2}))
	var got []line
	for _, l := range placed.Lines {
		got = append(got, line{l.SKU, l.Quantity})
	}
	if diff := cmp.Diff([]line{{"MUG", 3}, {"LAMP", 1}}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func onStaffsList(t *testing.T, m *testShop) {
	bought := m.buy(t, cart("lisa", line{"MUG", 1}))
	waitFor(t, "the order is listed first, as confirmed", func() bool {
		list := m.staffsList(t)
		return len(list) > 0 && list[0] == listed{bought.ID, "confirmed"}
	})
}

func TestOneKeyMakesOneOrder(t *testing.T) {
	m := startShop(t, nil)
	m.list(t, "MUG", 1250, 500)
	t.Run("SentAgain", func(t *testing.T) { sentAgain(t, m) })
	t.Run("FiftyAtOnce", func(t *testing.T) { fiftyAtOnce(t, m) })
	t.Run("WithAnotherBody", func(t *testing.T) {
		m.place(t, cart("odo", line{"MUG", 1}))
		first, other := m.post(t, cart("otto", line{"MUG", 1}), "k"), m.post(t, cart("otto", line{"MUG", 2}), "k")
		if first.Status != http.StatusCreated || other.Status != http.StatusUnprocessableEntity {
			t.Errorf("answered %d, then %d", first.Status, other.Status)
		}
		isProblem(t, other)
		if n := m.placedBy(t, "otto@example.com"); n != 1 {
			t.Errorf("%d orders were placed", n)
		}
	})
	t.Run("OfAnotherCustomer", func(t *testing.T) {
		var one, two order
		m.post(t, cart("una", line{"MUG", 1}), "same").into(t, http.StatusCreated, &one)
		m.post(t, cart("duo", line{"MUG", 1}), "same").into(t, http.StatusCreated, &two)
		if one.ID == two.ID || one.AccessToken == two.AccessToken {
			t.Errorf("two customers share order %s", one.ID)
		}
	})
}

// sentAgain: the answer stays what it was, even after the order has gone on.
func sentAgain(t *testing.T, m *testShop) {
	p := cart("rita", line{"MUG", 1})
	first := m.post(t, p, "again")
	var o order
	first.into(t, http.StatusCreated, &o)
	m.settle(t, o)
	second := m.post(t, p, "again")
	if second.Status != http.StatusCreated || !bytes.Equal(first.Body, second.Body) {
		t.Errorf("answered %d %s\nwant 201 %s", second.Status, second.Body, first.Body)
	}
	if first.Header.Get("Idempotent-Replayed") != "" || second.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("Idempotent-Replayed was %q, then %q", first.Header.Get("Idempotent-Replayed"), second.Header.Get("Idempotent-Replayed"))
	}
	if n := m.placedBy(t, p.Email); n != 1 {
		t.Errorf("%d orders were placed", n)
	}
	m.mailed(t, p.Email, 1)
}

func fiftyAtOnce(t *testing.T, m *testShop) {
	p := cart("paul", line{"MUG", 3})
	clicks := make([]*http.Request, 50)
	for i := range clicks {
		clicks[i] = m.checkoutRequest(t, p, "fifty")
	}
	answers := m.together(t, clicks)
	placed := 0
	for _, a := range answers {
		if a.Status != http.StatusCreated || !bytes.Equal(a.Body, answers[0].Body) {
			t.Fatalf("answered %d %s\nto another 201 %s", a.Status, a.Body, answers[0].Body)
		}
		if a.Header.Get("Idempotent-Replayed") == "" {
			placed++
		}
	}
	if n := m.placedBy(t, p.Email); n != 1 || placed != 1 {
		t.Errorf("%d orders were placed, and %d answers say that they placed it", n, placed)
	}
	var o order
	answers[0].into(t, http.StatusCreated, &o)
	m.checkout(t, o)
	var held int64
	for _, e := range m.history(t, events.PrefixStock+"MUG") {
		if h, ok := e.Payload.(events.StockHeld); ok && h.OrderID == o.ID {
			held += h.Quantity
		}
	}
	if held != 3 {
		t.Errorf("%d are held for an order of 3", held)
	}
}
