package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tillstream/events"
	"tillstream/orders"
)

func TestRefundsAreListedAndRequested(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	var asked map[string]any
	var key string
	flags := append(staffServer(t, func(_ http.ResponseWriter, r *http.Request) any {
		if r.Method == http.MethodGet {
			return orders.RefundsBody{OrderID: "o1", Number: "8F3K2-MQD7A", Captured: gbp(1600), Refunded: gbp(0), Refundable: gbp(1600), RefundableShipping: gbp(350),
				Lines:   []orders.RefundableLine{{SKU: "MUG", UnitPrice: gbp(1250), Quantity: 1, Restock: 1}},
				Refunds: []orders.RefundBody{{ID: "r0", State: orders.RefundFailed, Amount: gbp(100), Failure: "expired card"}}}
		}
		asked, key = nil, r.Header.Get("Idempotency-Key")
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		return orders.RefundBody{ID: "r1", State: orders.RefundRequested, Amount: gbp(1600)}
	}), "--nats", b.url)
	try := trying(t, flags...)
	try("refund 8f3k2-mqd7a", exitOK, "16.00 GBP can be refunded", "MUG 1 can be refunded at 12.50 GBP, 1 of them back to stock", "failed: expired card")
	try("refund o1 --all --reason asked --key the-key-of-this-click", exitOK, "r1 refund of 16.00 GBP for order 8F3K2-MQD7A is requested")
	want := map[string]any{"refundable": map[string]any{"amount": 1600.0, "currency": "GBP"}, "full": true, "reason": "asked"}
	if diff := cmp.Diff(want, asked); diff != "" || key != "the-key-of-this-click" {
		t.Errorf("key %q, body (-want +got):\n%s", key, diff)
	}
	try("refund o1 --line A=B:1=2:1 --delivery --amount 20.00 --reason asked --json", exitOK, `"id": "r1"`)
	line, _ := asked["lines"].([]any)
	if diff := cmp.Diff([]any{map[string]any{"sku": "A=B:1", "quantity": 2.0, "restock": 1.0}}, line); diff != "" || len(key) != 36 {
		t.Errorf("key %q, lines (-want +got):\n%s", key, diff)
	}
	for arguments, want := range map[string]string{"--all": "--reason", "--line MUG --reason asked": "SKU=UNITS", "--line MUG=x --reason asked": "--line MUG=x",
		"--amount x --reason asked": "--amount", "--all --again r0 --reason asked": "--again"} {
		try("refund o1 "+arguments, exitFailed, want)
	}
}

func TestAnOrderOfWhichNothingCanBeRefundedSaysWhy(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	flags := append(staffServer(t, func(http.ResponseWriter, *http.Request) any {
		return orders.RefundsBody{OrderID: "o1", Number: "8F3K2-MQD7A", Captured: gbp(1250), Refunded: gbp(0), Refundable: gbp(1250), Blocked: orders.ErrChargedBack.Error(),
			Lines: []orders.RefundableLine{{SKU: "MUG", UnitPrice: gbp(1250), Quantity: 1}}}
	}), "--nats", b.url)
	code, stdout, stderr := ops(t, append([]string{"refund", "o1"}, flags...)...)
	if code != exitOK || !strings.Contains(words(stdout), "nothing can be refunded: the shopper's bank disputes") || strings.Contains(stdout, "can be refunded at") {
		t.Errorf("got %d:\n%s%s", code, stdout, stderr)
	}
}

// The page of an order names the command that repeats a failed refund, until one replaces it.
func TestAFailedRefundIsAProblemUntilItIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	id := events.FirstPaymentID("o1")
	for n, fact := range []events.Payload{
		events.PaymentRequested{OrderID: "o1", PaymentID: id, Amount: gbp(1250)}, events.PaymentIntentCreated{OrderID: "o1", PaymentID: id, PaymentIntent: "pi_1", Amount: gbp(1250)},
		events.PaymentCaptured{OrderID: "o1", PaymentID: id, PaymentIntent: "pi_1", Amount: gbp(1250)},
		events.PaymentRefundFailed{OrderID: "o1", PaymentID: id, RefundID: "r1", Amount: gbp(1250), Reason: "expired_card"},
	} {
		b.publish(fmt.Sprint("pay-", n), events.PrefixPayment+id, "o1", "", fact)
	}
	try := trying(t, "--nats", b.url)
	try("order o1", exitProblem, "refund r1 of 12.50 GBP failed: expired_card", "ops refund o1 --again r1")
	b.publish("pay-9", events.PrefixPayment+id, "o1", "", events.PaymentRefundRequested{OrderID: "o1", PaymentID: id, RefundID: "r2", Amount: gbp(1250), Replaces: "r1"})
	if code, stdout, stderr := ops(t, "order", "o1", "--nats", b.url); strings.Contains(stdout, "ops refund") {
		t.Errorf("after the new refund: got %d %s%s, want no command that repeats the failed one", code, stdout, stderr)
	}
}
