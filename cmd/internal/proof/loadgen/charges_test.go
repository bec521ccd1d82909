package loadgen_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tillstream/cmd/internal/proof/loadgen"
	"tillstream/events"
)

// fakeStripe is what the fake shop's Stripe has besides the payments of its orders.
type fakeStripe struct {
	refunds []map[string]any
	lost    bool // the answer to the next refund, which is made, is lost
}

func (f *fakeShop) stripeRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST /3ds/{pi}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if id := strings.TrimPrefix(r.PathValue("pi"), "pi_"); r.FormValue("client_secret") == "secret-"+id && r.FormValue("outcome") == "complete" {
			close(f.paid[id])
		}
	})
	mux.HandleFunc("GET /v1/refunds", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		answerList(w, f.stripe.refunds)
	})
	mux.HandleFunc("POST /v1/refunds", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.stripe.refunds = append(f.stripe.refunds, map[string]any{"id": "re_1", "payment_intent": r.FormValue("payment_intent"), "amount": 125, "status": "succeeded"})
		if f.stripe.lost {
			hangUp(w)
		}
		fmt.Fprint(w, `{}`)
	})
}

func answerList(w http.ResponseWriter, data []map[string]any) {
	body, err := json.Marshal(map[string]any{"object": "list", "has_more": false, "data": append([]map[string]any{}, data...)})
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(body); err != nil {
		panic(err)
	}
}

// Half of the money is refunded once, although the answer to the request is lost.
func TestHalfIsRefundedOnce(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(t)
	shop.stripe.lost = true
	wanted := basket
	wanted.Habit = loadgen.Returns
	p := shop.buyer(t, true).Buy(t.Context(), wanted)
	if half := (events.Money{Amount: 125, Currency: "GBP"}); p.Err != nil || p.Refunded != half || len(shop.stripe.refunds) != 1 {
		t.Errorf("got %+v and refunds %v, want one refund of %s", p, shop.stripe.refunds, half)
	}
}

// bought are purchases of each kind: paid, partly refunded, left, and failed.
func bought(c *loadgen.Charges) {
	total := events.Money{Amount: 250, Currency: "GBP"}
	for id, p := range map[string]loadgen.Purchase{"paid": {}, "returned": {Refunded: events.Money{Amount: 125, Currency: "GBP"}}, "left": {Left: true},
		"cancelled": {Cancelled: true}, "stuck": {Unpayable: true}, "failed": {Err: &loadgen.Failure{Kind: loadgen.NotConfirmed}}} {
		p.Order = loadgen.Order{ID: id, Total: total}
		c.Observe(p)
	}
}

// A shopper whose order cannot be paid leaves, and is not charged.
func TestShopperLosesPatience(t *testing.T) {
	t.Parallel()
	shop := newFakeShop(t)
	shop.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/payment") {
			return false
		}
		fmt.Fprint(w, `{"status":"requested"}`)
		return true
	}
	buyer := shop.buyer(t, false)
	buyer.Impatience = 100 * time.Millisecond
	p := buyer.Buy(t.Context(), basket)
	var tally loadgen.Tally
	tally.Observe(p)
	if !p.Unpayable || p.Err != nil || tally.Report(0, 0).Left != 1 {
		t.Errorf("got %+v, want the shopper gone", p)
	}
}

// Every difference between what shoppers have paid and what Stripe has taken is found.
func TestChargesAreComparedWithStripe(t *testing.T) {
	t.Parallel()
	intent := func(id string, received int64) map[string]any {
		return map[string]any{"id": "pi_" + id, "amount_received": received, "currency": "gbp", "metadata": map[string]string{"order_id": id}}
	}
	capture := func(id, version string) map[string]any {
		return map[string]any{"id": "evt_" + id, "api_version": version, "data": map[string]any{"object": map[string]any{"payment_intent": "pi_" + id}}}
	}
	const version = "2023-10-16"
	right := []map[string]any{intent("paid", 250), intent("returned", 250), intent("left", 0), intent("failed", 250), intent("another shop's", 99)}
	once := []map[string]any{capture("paid", version), capture("paid", "2014-12-22"), capture("returned", version), capture("another shop's", version)}
	for name, c := range map[string]struct {
		intents, events []map[string]any
		want            []string
	}{
		"Equal":           {right, once, []string{}},
		"CapturedTwice":   {right, append(once[:len(once):len(once)], capture("paid", version)), []string{"order paid: Stripe has 2.50 GBP in 2 captures, 0.00 GBP refunded, want 2.50 GBP in 1 capture, 0.00 GBP refunded"}},
		"CapturedTooMuch": {append(right[:len(right):len(right)], intent("cancelled", 250)), once, []string{"order cancelled: Stripe has 2.50 GBP in 0 captures, 0.00 GBP refunded, want nothing"}},
		"NotCaptured":     {right[1:], once, []string{"order paid: Stripe has nothing, want 2.50 GBP in 1 capture, 0.00 GBP refunded"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newFakeShop(t)
			shop.stripe.refunds = []map[string]any{{"id": "re_1", "payment_intent": "pi_returned", "amount": 125, "status": "succeeded"},
				{"id": "re_2", "payment_intent": "pi_paid", "amount": 7, "status": "failed"}}
			shop.intercept = func(w http.ResponseWriter, r *http.Request) bool {
				lists := map[string][]map[string]any{"/v1/payment_intents": c.intents, "/v1/events": c.events}
				if r.URL.Query().Get("created[gte]") == "" {
					return false
				}
				answerList(w, lists[r.URL.Path])
				return true
			}
			var charges loadgen.Charges
			bought(&charges)
			p, err := charges.Compare(t.Context(), shop.buyer(t, false).Shop, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, p.Differences); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
			if name == "Equal" && (p.Orders != 5 || p.Unpayable != 1 || p.Paid != 2 || p.Refunds != 1 || p.Captured.Amount != 500) {
				t.Errorf("got %+v, want 5 orders, of which 2 are paid with 5.00 and 1 is refunded", p)
			}
		})
	}
}

func TestReportShowsPayments(t *testing.T) {
	t.Parallel()
	p := loadgen.Payments{Paid: 7, Captured: events.Money{Amount: 12_345, Currency: "GBP"}, Refunds: 1, Recovered: 3, CleanS: 1.25, Differences: []string{"order x"}}
	var text bytes.Buffer
	if err := (loadgen.Report{Left: 2, Payments: &p}).WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 orders left unpaid", "7 orders paid: 123.45 GBP captured at Stripe", "3 events of Stripe found", "held 1.2 s after", "DIFFERENT order x"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
}
