package sandbox_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"tillstream/payments/sandbox"
)

// walk sends requests and checks every answer against Stripe's description.
type walk struct {
	*testServer
	*checker
	calls *int
}

// call sends a request with the secret key and returns the answer.
func (w walk) call(method, path string, form ...string) answer {
	w.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Add(form[i], form[i+1])
	}
	target := path
	if method == "GET" && len(form) > 0 {
		target, values = path+"?"+values.Encode(), nil
	}
	name, value := bearer(secretKey)
	got := w.mustSend(method, target, values, name, value, "Idempotency-Key", strconv.Itoa(*w.calls))
	*w.calls++
	if err := w.answer(method, path, got.status, []byte(got.body)); err != nil {
		w.t.Error(err)
	}
	if got.status == 200 {
		w.seen[sandbox.RouteOf(method, path)] = true
	}
	return got
}

// id returns the id in an answer.
func (w walk) id(got answer) string {
	w.t.Helper()
	var object struct{ ID string }
	got.decode(w.t, &object)
	if object.ID == "" {
		w.t.Errorf("got %d %s, want an object with an id", got.status, got.body)
	}
	return object.ID
}

// pay creates and confirms an intent.
func (w walk) pay(create []string, confirm ...string) (intent string) {
	w.t.Helper()
	form := append([]string{"amount", "1250", "currency", "eur", "metadata[order_id]", "order-1", "shipping[name]", "Ann Lee", "shipping[address][line1]", "1 High Street"}, create...)
	intent = w.id(w.call("POST", "/v1/payment_intents", form...))
	w.call("POST", "/v1/payment_intents/"+intent+"/confirm", confirm...)
	return intent
}

// shopper reads an intent as a browser does.
func (w walk) shopper(secret, path string) {
	w.t.Helper()
	name, value := bearer(publishableKey)
	got := w.mustSend("GET", path+"?client_secret="+secret, nil, name, value)
	if err := w.answer("GET", path, got.status, []byte(got.body)); err != nil || got.status != 200 {
		w.t.Errorf("shopper: got %d %s, %v; want 200", got.status, got.body, err)
	}
}

// lists reads every list, page by page, and every object in them.
func (w walk) lists() {
	w.t.Helper()
	for _, path := range []string{"/v1/payment_intents", "/v1/refunds", "/v1/disputes", "/v1/balance_transactions", "/v1/payouts", "/v1/events"} {
		for after := ""; ; {
			form := []string{"limit", "7"}
			if after != "" {
				form = append(form, "starting_after", after)
			}
			var page struct {
				Data    []json.RawMessage
				HasMore bool `json:"has_more"`
			}
			w.call("GET", path, form...).decode(w.t, &page)
			for _, object := range page.Data {
				var shown struct {
					ID           string
					Type         string
					LatestCharge string `json:"latest_charge"`
					Data         struct{ Object json.RawMessage }
				}
				if err := json.Unmarshal(object, &shown); err != nil {
					w.t.Fatal(err)
				}
				after = shown.ID
				w.call("GET", path+"/"+shown.ID)
				if shown.LatestCharge != "" {
					w.call("GET", "/v1/charges/"+shown.LatestCharge)
				}
				if shown.Data.Object != nil {
					if err := w.object(shown.Type, shown.Data.Object); err != nil {
						w.t.Error(err)
					}
				}
			}
			if !page.HasMore {
				break
			}
		}
	}
}

// payments makes payments of every kind.
func (w walk) payments() (captured string) {
	card := func(name string) []string {
		return []string{"payment_method", name, "return_url", "https://shop.example/pay"}
	}
	both := []string{"payment_method_types[0]", "card", "payment_method_types[1]", "sepa_debit"}
	perCard := append(both[:4:4], "payment_method_options[card][capture_method]", "manual", "payment_method_options[card][request_multicapture]", "if_available")
	parts := w.pay(perCard, card("pm_card_visa")...)
	w.call("POST", "/v1/payment_intents/"+parts+"/capture", "amount_to_capture", "400", "final_capture", "false")
	w.call("POST", "/v1/payment_intents/"+parts+"/capture", "amount_to_capture", "5000")
	w.call("POST", "/v1/payment_intents/"+parts+"/capture")
	w.call("POST", "/v1/payment_intents/"+parts+"/cancel")
	w.pay(perCard, card("pm_card_visa")...) // expires
	canceled := w.pay(perCard, card("pm_card_visa")...)
	w.call("POST", "/v1/payment_intents/"+canceled+"/cancel", "cancellation_reason", "requested_by_customer")
	for _, name := range []string{"pm_card_visa", "pm_card_createDispute", "pm_card_createDisputeInquiry", "pm_card_createDisputeProductNotReceived",
		"pm_card_pendingRefund", "pm_card_refundFail", "pm_card_visa_chargeDeclined", "pm_card_chargeDeclinedExpiredCard",
		"pm_card_authenticationRequired", "pm_card_none"} {
		w.pay(nil, card(name)...)
	}
	w.pay(nil, "payment_method", "pm_card_authenticationRequired")
	w.pay(nil, "payment_method", "pm_card_authenticationRequired", "off_session", "true")
	w.pay(nil, "payment_method_data[type]", "card", "payment_method_data[card][number]", "4242424242424241")
	for _, iban := range []string{"DE89370400440532013000", "DE08370400440532013003", "DE62370400440532013001", "DE35370400440532013002", "DE00"} {
		w.pay(both, "payment_method_data[type]", "sepa_debit", "payment_method_data[sepa_debit][iban]", iban)
	}
	return w.pay([]string{"automatic_payment_methods[enabled]", "true"}, card("pm_card_visa")...)
}

// afterwards refunds, disputes and reads what was paid.
func (w walk) afterwards(paid string) {
	re := w.id(w.call("POST", "/v1/refunds", "payment_intent", paid, "amount", "100", "reason", "duplicate"))
	w.call("POST", "/v1/refunds/"+re, "metadata[by]", "ann")
	w.call("POST", "/v1/refunds/"+re+"/cancel")
	w.call("POST", "/v1/refunds", "payment_intent", paid, "amount", "5000")
	w.call("POST", "/v1/refunds")
	var intents, disputes struct{ Data []struct{ ID string } }
	w.call("GET", "/v1/payment_intents", "limit", "100", "expand[0]", "data.latest_charge").decode(w.t, &intents)
	for i, in := range intents.Data {
		refund := w.call("POST", "/v1/refunds", "payment_intent", in.ID, "amount", "50")
		if i%2 == 0 && refund.status == 200 {
			w.call("POST", "/v1/refunds/"+w.id(refund)+"/cancel")
		}
	}
	w.call("GET", "/v1/disputes").decode(w.t, &disputes)
	for i, d := range disputes.Data {
		evidence := []string{"winning_evidence", "losing_evidence", "a receipt"}[i%3]
		w.call("POST", "/v1/disputes/"+d.ID, "evidence[uncategorized_text]", evidence, "submit", "false")
		if i > 1 {
			w.call("POST", "/v1/disputes/"+d.ID, "submit", "true")
		}
		w.call("POST", "/v1/disputes/"+d.ID+"/close")
	}
	w.call("GET", "/v1/balance")
	w.call("GET", "/v1/account")
	endpoint := w.call("GET", "/v1/webhook_endpoints")
	w.call("GET", "/v1/webhook_endpoints/"+regexp.MustCompile(`we_\w+`).FindString(endpoint.body))
	w.call("POST", "/v1/payment_intents/"+paid, "description", "Order 7")
	w.call("GET", "/v1/payment_intents/"+paid, "expand[0]", "latest_charge.balance_transaction")
	w.call("GET", "/v1/balance_transactions", "limit", "100", "expand[0]", "data.source")
	w.call("GET", "/v1/payment_intents/search", "query", "metadata['order_id']:'order-1'", "limit", "3")
	w.call("GET", "/v1/payment_intents/search", "query", "nonsense")
	for _, path := range []string{"payment_intents", "charges", "refunds", "disputes", "balance_transactions", "payouts", "events"} {
		w.call("GET", "/v1/"+path+"/none")
	}
}

// TestAnswersAndEventsMatchStripesDescription walks through every route, with every kind of payment, error and event.
func TestAnswersAndEventsMatchStripesDescription(t *testing.T) {
	t.Parallel()
	w := walk{newTestServer(t, withMulticapture, func(c *sandbox.Config) { c.WebhookURL = "http://127.0.0.1:9/" }), newChecker(t), new(int)}
	paid := w.payments()
	w.afterwards(paid)
	w.advance(10 * 24 * time.Hour)
	for _, kind := range []sandbox.Foreign{sandbox.ForeignOrder, sandbox.ForeignRefund} {
		if err := w.AddForeign(kind); err != nil {
			t.Fatal(err)
		}
	}
	for _, fault := range []func(*sandbox.RequestFaults){
		func(r *sandbox.RequestFaults) { r.RateLimited = 1 }, func(r *sandbox.RequestFaults) { r.ServerError = 1 },
		func(r *sandbox.RequestFaults) { r.Conflict = 1 }, func(r *sandbox.RequestFaults) { r.Stored500 = 1 },
	} {
		w.setFaults(requestFault(fault))
		w.call("POST", "/v1/payment_intents", "amount", "1250", "currency", "eur")
	}
	w.setFaults(sandbox.Faults{})
	w.shopper(w.get(paid).ClientSecret, "/v1/payment_intents/"+paid)
	w.lists()
	for _, want := range append(sandbox.Routes(), "200", "400", "402", "404", "409", "429", "500") {
		if !w.seen[want] {
			t.Errorf("%s: got no answer, want one", want)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.found)) {
		t.Errorf("%s: %s", key, w.found[key])
	}
	for key := range differences {
		if !w.used[key] {
			t.Errorf("the difference %s was not found: remove it", key)
		}
	}
}
