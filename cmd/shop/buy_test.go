package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/events/replay"
	"tillstream/orders"
)

func gbp(pence int64) events.Money { return events.Money{Amount: pence, Currency: "GBP"} }

func TestShopperBuys(t *testing.T) {
	ts := startShop(t, func(c *Config) { c.ShippingFee = orders.ShippingFees{"GBP": 395} })
	ts.list(t, "MUG", 1250, 50)
	ts.list(t, "LAMP", 6400, 50)
	t.Run("InEnglish", func(t *testing.T) { buyInEnglish(t, ts) })
	t.Run("InGerman", func(t *testing.T) { buyInGerman(t, ts) })
	t.Run("PriceIsThatOfTheCatalogue", func(t *testing.T) { catalogueSetsPrice(t, ts) })
	t.Run("LinesOfOneItemAreSummed", func(t *testing.T) { linesAreSummed(t, ts) })
	t.Run("StaffSeeTheOrder", func(t *testing.T) { staffSeeOrder(t, ts) })
}

func buyInEnglish(t *testing.T, ts *testShop) {
	before := ts.stock(t, "MUG")
	placed := ts.place(t, cart("ada", line{"MUG", 2}, line{"LAMP", 1}))
	want := []events.OrderLine{
		{SKU: "MUG", Title: "A mug", Quantity: 2, UnitPrice: gbp(1250), Total: gbp(2500)},
		{SKU: "LAMP", Title: "A lamp", Quantity: 1, UnitPrice: gbp(6400), Total: gbp(6400)},
	}
	if diff := cmp.Diff(want, placed.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if placed.Status != "placed" || placed.Subtotal != gbp(8900) || placed.Shipping != gbp(395) || placed.Total != gbp(9295) {
		t.Errorf("placed order = %+v, want 89.00 plus 3.95 delivery", placed)
	}
	offer := ts.checkout(t, placed)
	if offer.Amount != 9295 || offer.Currency != "GBP" || offer.PublishableKey != ts.StripePublishableKey {
		t.Errorf("payment = %+v, want 9295 GBP with the publishable key", offer)
	}
	if got := ts.stock(t, "MUG"); got != (level{before.OnHand, before.Available - 2, before.Held + 2}) {
		t.Errorf("stock while the payment is awaited = %+v, want 2 of %+v held", got, before)
	}
	var in intent
	ts.pay(t, offer, goodCard).into(t, http.StatusOK, &in)
	ts.becomes(t, placed, "confirmed")
	ts.stockBecomes(t, "MUG", level{before.OnHand - 2, before.Available - 2, before.Held})
	ts.charged(t, placed)
	if now := ts.payment(t, placed); now.Status != "captured" || now.ClientSecret != "" {
		t.Errorf("payment status = %q with secret %q, want captured without a secret", now.Status, now.ClientSecret)
	}
	got := ts.mailed(t, placed.Email, 1)[0]
	if want := "Order " + placed.Number + " is confirmed"; got.Subject != want || !strings.Contains(got.Text, "£92.95") {
		t.Errorf("e-mail %q with text\n%s\nwant subject %q and the total", got.Subject, got.Text, want)
	}
	link := ts.Storefront + "/orders/" + placed.ID + "#token=" + placed.AccessToken
	if !strings.Contains(got.Text, link) || !strings.Contains(got.HTML, "2") || !strings.Contains(got.HTML, "A mug") {
		t.Errorf("e-mail lacks the link %s, or its HTML part lacks the items:\n%s\n%s", link, got.Text, got.HTML)
	}
}

func buyInGerman(t *testing.T, ts *testShop) {
	p := cart("grete", line{"LAMP", 1})
	p.Locale = "de-AT"
	bought := ts.buy(t, p)
	got := ts.mailed(t, p.Email, 1)[0]
	if want := "Ihre Bestellung " + bought.Number + " ist bestätigt"; got.Subject != want {
		t.Errorf("e-mail subject = %q, want %q", got.Subject, want)
	}
	if !strings.Contains(got.Text, "£\u00a067,95") || !strings.Contains(got.Text, "Vereinigtes Königreich") {
		t.Errorf("e-mail lacks the Austrian format of money and the German name of the country:\n%s", got.Text)
	}
}

func catalogueSetsPrice(t *testing.T, ts *testShop) {
	ts.list(t, "VASE", 2000, 10)
	first := ts.post(t, cart("petra", line{"VASE", 1}), "before")
	var cheap, dear order
	first.into(t, http.StatusCreated, &cheap)
	ts.list(t, "VASE", 2400, 9)
	waitFor(t, "orders have the new price", func() bool {
		dear = ts.place(t, cart("petra", line{"VASE", 1}))
		return dear.Subtotal == gbp(2400)
	})
	if cheap.Subtotal != gbp(2000) || ts.read(t, cheap).Subtotal != gbp(2000) {
		t.Errorf("subtotal after the change of price = %s, want that of the order", ts.read(t, cheap).Subtotal)
	}
	if again := ts.post(t, cart("petra", line{"VASE", 1}), "before"); !bytes.Equal(again.Body, first.Body) {
		t.Errorf("retry after the change of price =\n%s\nwant the first answer\n%s", again.Body, first.Body)
	}
}

func linesAreSummed(t *testing.T, ts *testShop) {
	placed := ts.place(t, cart("tom", line{"MUG", 1}, line{"LAMP", 1}, line{"MUG", 2}))
	var got []line
	for _, l := range placed.Lines {
		got = append(got, line{l.SKU, l.Quantity})
	}
	if diff := cmp.Diff([]line{{"MUG", 3}, {"LAMP", 1}}, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func staffSeeOrder(t *testing.T, ts *testShop) {
	bought := ts.buy(t, cart("lisa", line{"MUG", 1}))
	waitFor(t, "the order is first on staff's list, confirmed", func() bool {
		list := ts.staffsList(t)
		return len(list) > 0 && list[0] == listed{bought.ID, "confirmed"}
	})
}

func TestIdempotencyKeyPlacesOneOrder(t *testing.T) {
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 500)
	t.Run("Repeated", func(t *testing.T) { repeatedCheckout(t, ts) })
	t.Run("FiftyConcurrent", func(t *testing.T) { fiftyCheckouts(t, ts) })
	t.Run("OtherBody", func(t *testing.T) {
		ts.place(t, cart("odo", line{"MUG", 1}))
		first, other := ts.post(t, cart("otto", line{"MUG", 1}), "k"), ts.post(t, cart("otto", line{"MUG", 2}), "k")
		if first.Status != http.StatusCreated || other.Status != http.StatusUnprocessableEntity {
			t.Errorf("status %d, then %d; want 201, then 422", first.Status, other.Status)
		}
		isProblem(t, other)
		if n := ts.placedBy(t, "otto@example.com"); n != 1 {
			t.Errorf("%d orders were placed, want 1", n)
		}
	})
	t.Run("OtherCustomer", func(t *testing.T) {
		var one, two order
		ts.post(t, cart("una", line{"MUG", 1}), "same").into(t, http.StatusCreated, &one)
		ts.post(t, cart("duo", line{"MUG", 1}), "same").into(t, http.StatusCreated, &two)
		if one.ID == two.ID || one.AccessToken == two.AccessToken {
			t.Errorf("two customers with the same key share order %s", one.ID)
		}
	})
}

// repeatedCheckout expects that the answer to a repeated checkout stays the same, even after the status of the order has changed.
func repeatedCheckout(t *testing.T, ts *testShop) {
	p := cart("rita", line{"MUG", 1})
	first := ts.post(t, p, "again")
	var o order
	first.into(t, http.StatusCreated, &o)
	ts.settle(t, o)
	second := ts.post(t, p, "again")
	if second.Status != http.StatusCreated || !bytes.Equal(first.Body, second.Body) {
		t.Errorf("repeated checkout = %d %s\nwant 201 %s", second.Status, second.Body, first.Body)
	}
	if first.Header.Get("Idempotent-Replayed") != "" || second.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("Idempotent-Replayed = %q, then %q; want it only on the second answer", first.Header.Get("Idempotent-Replayed"), second.Header.Get("Idempotent-Replayed"))
	}
	if n := ts.placedBy(t, p.Email); n != 1 {
		t.Errorf("%d orders were placed, want 1", n)
	}
	ts.mailed(t, p.Email, 1)
}

func fiftyCheckouts(t *testing.T, ts *testShop) {
	p := cart("paul", line{"MUG", 3})
	requests := make([]*http.Request, 50)
	for i := range requests {
		requests[i] = ts.checkoutRequest(t, p, "fifty")
	}
	answers := ts.together(t, requests)
	placed := 0
	for _, a := range answers {
		if a.Status != http.StatusCreated || !bytes.Equal(a.Body, answers[0].Body) {
			t.Fatalf("answer %d %s\ndiffers from the first, want 201 %s", a.Status, a.Body, answers[0].Body)
		}
		if a.Header.Get("Idempotent-Replayed") == "" {
			placed++
		}
	}
	if n := ts.placedBy(t, p.Email); n != 1 || placed != 1 {
		t.Errorf("%d orders were placed and %d answers are no replays, want 1 and 1", n, placed)
	}
	var o order
	answers[0].into(t, http.StatusCreated, &o)
	ts.checkout(t, o)
	var held int64
	for _, e := range ts.history(t, events.PrefixStock+"MUG") {
		if h, ok := e.Payload.(events.StockHeld); ok && h.OrderID == o.ID {
			held += h.Quantity
		}
	}
	if held != 3 {
		t.Errorf("stock held for the order = %d, want 3", held)
	}
}

// The actor of an event is the shopper, the holder of the ops token, Stripe, or the shop itself.
func TestEventsNameTheirActor(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 100)
	o := ts.buy(t, cart("ada", line{"MUG", 1}))
	ts.mailed(t, o.Email, 1)
	want := map[string]string{
		"inventory.stock_adjusted":   "key:local",
		"orders.placed":              events.ActorGuest,
		"inventory.reservation_held": events.ActorSystem,
		"orders.confirmed":           events.ActorSystem,
		"payments.intent_created":    events.ActorSystem,
		"payments.authorized":        events.ActorStripe,
		"notifications.queued":       events.ActorSystem,
	}
	got := map[string]string{}
	err := ts.log.Each(t.Context(), replay.Range{}, func(message replay.Message) error {
		e, err := message.Event()
		if _, ok := want[e.Type]; ok && (e.Type != "inventory.stock_adjusted" || e.Subject == events.PrefixStock+"MUG") {
			got[e.Type] = e.Actor
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for kind, actor := range want {
		if got[kind] != actor {
			t.Errorf("actor of %s = %q, want %q", kind, got[kind], actor)
		}
	}
}
