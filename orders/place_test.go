package orders_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tillstream/events"
	eventlog "tillstream/events/log"
	"tillstream/events/log/logtest"
	"tillstream/orders"
)

// placed is the answer to POST /api/orders.
type placed struct {
	ID              string
	AccessToken     string `json:"access_token"`
	Shipping, Total events.Money
}

func decodePlaced(t *testing.T, a *httptest.ResponseRecorder) (p placed) {
	t.Helper()
	if err := json.Unmarshal(a.Body.Bytes(), &p); err != nil || a.Code != http.StatusCreated {
		t.Fatalf("got %d %s (%v), want 201", a.Code, a.Body, err)
	}
	return p
}

// An order with a malformed traceparent is placed, and starts a new trace.
func TestAMalformedTraceParentStartsANewTrace(t *testing.T) {
	t.Parallel()
	l, handler := openAPI(t, logtest.Server(t))
	listMug(t, l)
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for i, header := range []string{good, "x", strings.ToUpper(good), good + "," + good, "ff" + good[2:], strings.Repeat("0", len(good)), "00-" + strings.Repeat("0", 32) + good[35:]} {
		p := decodePlaced(t, post(handler, header, checkout(fmt.Sprintf("shopper-%d@example.com", i), 1), "traceparent", header))
		e, err := l.First(t.Context(), events.PrefixOrder+p.ID)
		if err != nil {
			t.Fatal(err)
		}
		if unchanged := e.TraceParent == good; unchanged != (header == good) || len(e.TraceParent) != len(good) {
			t.Errorf("traceparent %q: got %q, want it unchanged only if it is valid", header, e.TraceParent)
		}
	}
}

// A total that Stripe would refuse to charge is refused before anything is stored.
func TestTotalsThatCannotBePaidAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		price    int64
		currency string
		quantity int
		want     int
	}{
		"SmallPounds":    {10, "GBP", 1, http.StatusUnprocessableEntity},
		"SmallYen":       {10, "JPY", 1, http.StatusUnprocessableEntity},
		"HugePounds":     {60_000_000, "GBP", 2, http.StatusUnprocessableEntity},
		"ThousandthKWD":  {12_595, "KWD", 1, http.StatusUnprocessableEntity},
		"OddISK":         {100_255, "ISK", 1, http.StatusUnprocessableEntity},
		"LeastPounds":    {30, "GBP", 1, http.StatusCreated},
		"ThreeTenPences": {10, "GBP", 3, http.StatusCreated},
		"LeastYen":       {50, "JPY", 1, http.StatusCreated},
		"MostPounds":     {99_999_999, "GBP", 1, http.StatusCreated},
		"WholeKWD":       {12_590, "KWD", 1, http.StatusCreated},
		"WholeISK":       {100_200, "ISK", 1, http.StatusCreated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, handler := openAPI(t, logtest.Server(t))
			listAt(t, l, "MUG", events.Money{Amount: c.price, Currency: c.currency})
			a := post(handler, "key", checkout("ada@example.com", c.quantity))
			if a.Code != c.want {
				t.Errorf("got %d %s, want %d", a.Code, a.Body, c.want)
			}
			want := uint64(1)
			if c.want != http.StatusCreated {
				if want = 0; !strings.Contains(a.Body.String(), "paid by card") {
					t.Errorf("got %s, want the limit in it", a.Body)
				}
			}
			if n := countOrderEvents(t, l); n != want {
				t.Errorf("got %d stored orders, want %d", n, want)
			}
		})
	}
}

// The limits depend on the currency in which the Stripe account is settled, so an installation can set them.
func TestChargeLimitsCanBeSet(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var limits events.ChargeLimits
	if err := limits.UnmarshalText([]byte("GBP=100")); err != nil {
		t.Fatal(err)
	}
	_, handler := openWith(t, orders.Config{Log: l.ForDomain("orders"), Charges: limits})
	listAt(t, l, "MUG", events.Money{Amount: 50, Currency: "GBP"})
	if a := post(handler, "one", checkout("ada@example.com", 1)); a.Code != http.StatusUnprocessableEntity {
		t.Errorf("one mug: got %d %s, want 422", a.Code, a.Body)
	}
	decodePlaced(t, post(handler, "two", checkout("ada@example.com", 2)))
}

// A fee applies to one currency only, because 395 minor units are £3.95 but ¥395. An order in a currency without a fee is refused.
func TestTheShippingFeeIsThatOfTheOrdersCurrency(t *testing.T) {
	t.Parallel()
	l := logtest.Open(t)
	var fees orders.ShippingFees
	if err := fees.UnmarshalText([]byte("GBP=395, JPY=700")); err != nil {
		t.Fatal(err)
	}
	_, handler := openWith(t, orders.Config{Log: l.ForDomain("orders"), Shipping: fees})
	for sku, price := range map[string]events.Money{"MUG": {Amount: 1250, Currency: "GBP"}, "CHAWAN": {Amount: 2000, Currency: "JPY"}, "BECHER": {Amount: 1500, Currency: "EUR"}} {
		listAt(t, l, sku, price)
		a := post(handler, sku, checkoutOf(sku, "ada@example.com", 1))
		if price.Currency == "EUR" {
			if a.Code != http.StatusUnprocessableEntity || !strings.Contains(a.Body.String(), "no delivery fee in EUR") {
				t.Errorf("in EUR: got %d %s, want 422 that names the currency", a.Code, a.Body)
			}
			continue
		}
		p := decodePlaced(t, a)
		want := events.Money{Amount: fees[price.Currency], Currency: price.Currency}
		if p.Shipping != want || p.Total != (events.Money{Amount: price.Amount + want.Amount, Currency: price.Currency}) {
			t.Errorf("%s: got shipping %s, total %s; want shipping %s on %s", sku, p.Shipping, p.Total, want, price)
		}
	}
	for _, bad := range []string{"395", "GBP", "GBP=-1", "gbp=3", "GBP=3.95", "0,GBP=3"} {
		if err := fees.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("fee %q: got no error, want one", bad)
		}
	}
	if err := fees.UnmarshalText([]byte("0")); err != nil || len(fees) != 0 {
		t.Errorf("fee 0: got %v, %v; want free shipping", fees, err)
	}
}

func TestALocaleHasAtMost35Bytes(t *testing.T) {
	t.Parallel()
	l, handler := openAPI(t, logtest.Server(t))
	listMug(t, l)
	longest := "de-" + "x-" + strings.Repeat("abcdefg-", 3) + "abcdef" // 35
	for tag, want := range map[string]int{longest: http.StatusCreated, longest + "g": http.StatusUnprocessableEntity} {
		if a := post(handler, tag, strings.Replace(checkout("ada@example.com", 1), `"en"`, `"`+tag+`"`, 1)); a.Code != want {
			t.Errorf("locale of %d bytes: got %d %s, want %d", len(tag), a.Code, a.Body, want)
		}
	}
}

// An order whose history cannot be read is answered with 503, and nothing is decided about it, until operators declare the
// event void.
func TestAnUnreadableOrderIsAnsweredWith503(t *testing.T) {
	t.Parallel()
	l, handler := openAPI(t, logtest.Server(t))
	listMug(t, l)
	p := decodePlaced(t, post(handler, "key", checkout("ada@example.com", 1)))
	msg, err := events.Encode(events.Event{ID: "again", Source: "test", Time: time.Now(), Subject: events.PrefixOrder + p.ID, Revision: 1, Payload: events.OrderExpired{}})
	if err != nil {
		t.Fatal(err)
	}
	ack, err := l.JetStream().PublishMsg(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	read := func() *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/orders/"+p.ID, nil)
		r.Header.Set("Authorization", "Bearer "+p.AccessToken)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	if a := read(); a.Code != http.StatusServiceUnavailable || a.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %v %s, want 503 with Retry-After", a.Code, a.Header(), a.Body)
	}
	m, err := l.Get(t.Context(), ack.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eventlog.Void(t.Context(), l.ForDomain("ops"), m, events.Author{Actor: "key:ops", Reason: "published by hand"}); err != nil {
		t.Fatal(err)
	}
	if a := read(); a.Code != http.StatusOK {
		t.Errorf("after the event was voided: got %d %s, want 200", a.Code, a.Body)
	}
}
