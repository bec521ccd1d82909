package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tillstream/events"
	"tillstream/inventory"
	"tillstream/notifications"
	"tillstream/payments"
)

func TestAnOrderIsCancelledByItsNumber(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	var asked string
	flags := append(staffServer(t, func(_ http.ResponseWriter, r *http.Request) any {
		var body map[string]string
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		asked = r.Method + " " + r.URL.Path + " " + body["reason"]
		return map[string]string{"number": "8F3K2-MQD7A"}
	}), "--nats", b.url)
	try := trying(t, flags...)
	try("cancel 8f3k2-mqd7a --reason asked", exitOK, "order 8F3K2-MQD7A is cancelled")
	if want := "POST /ops/api/orders/o1/cancel asked"; asked != want {
		t.Errorf("got request %q, want %q", asked, want)
	}
	try("cancel nothing --reason asked", exitFailed, "no order has the id or number nothing")
	try("cancel o1", exitFailed, "--reason")
}

func TestMailsAreShownWithoutControlCharacters(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.rejectedOrder("o1")
	flags := append(staffServer(t, func(_ http.ResponseWriter, r *http.Request) any {
		if strings.HasSuffix(r.URL.Path, "/mails/m1@shop.example") {
			return notifications.Content{MessageID: "m1@shop.example", Subject: "Rejected \x1b[31m", Text: "Dear Ada,\n\nnot enough \u202estock", HTML: "<p>Dear Ada</p>"}
		}
		return notifications.Notification{OrderID: "o1", Messages: []notifications.Message{{ID: "m1@shop.example"}}}
	}), "--nats", b.url)
	try := trying(t, flags...)
	try("mail o1", exitOK, `m1@shop.example Rejected \x1b[31m`, `Dear Ada, not enough \u202estock`)
	try("mail o1 --html", exitOK, "<p>Dear Ada</p>")
	try("mail o1 m1@shop.example --json", exitOK, `"mails"`)
	try("mail o1 other@shop.example", exitFailed, "order o1 has no mail other@shop.example")
}

func TestPaymentsAreListedUpToTheLimit(t *testing.T) {
	t.Parallel()
	try := trying(t, staffServer(t, func(_ http.ResponseWriter, r *http.Request) any {
		row := payments.ListedPayment{ID: "p1", OrderID: "o1", Number: "8F3K2-MQD7A", Status: payments.Status(r.URL.Query().Get("status")), Amount: gbp(1250), Captured: gbp(1250), Refunded: gbp(0), PaymentIntent: "pi_1"}
		return payments.ListBody{Payments: []payments.ListedPayment{row}, NextCursor: "more"}
	})...)
	try("payments --status captured --limit 2", exitOK, "8F3K2-MQD7A 12.50 GBP 12.50 GBP 0.00 GBP captured", "there are more payments")
	try("payments --csv --limit 1", exitOK, "order,status,amount")
	try("payments --status sold", exitFailed, "captured")
	try("payments --limit 0", exitFailed, "want 1 or more")
}

func TestAnItemIsShownAndChanged(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.publish("i1", "inventory.items.MUG", "", "", events.ItemChanged{SKU: "MUG", Title: "Harbour Mug", Price: gbp(850), Tags: []string{"mug"}})
	var sent inventory.ListingBody
	flags := append(staffServer(t, func(_ http.ResponseWriter, r *http.Request) any {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		return map[string]bool{"changed": true}
	}), "--nats", b.url)
	try := trying(t, flags...)
	try("item MUG", exitOK, "MUG 8.50 GBP mug Harbour Mug")
	try("item MUG --price 9.50 --reason list", exitOK, "saved")
	if sent.Title != "Harbour Mug" || sent.Price != gbp(950) || sent.Reason != "list" {
		t.Errorf("sent %+v, want the item with another price and the reason", sent)
	}
	try("item MUG --price 9,50 --reason list", exitFailed, "want an amount such as")
	try("item MUG --price 9.50", exitFailed, "say why the item is changed")
	try("item CUP --price 9.50 --reason new", exitFailed, "a new item needs --currency")
	try("item CUP", exitFailed, "no item has the SKU CUP")
}
