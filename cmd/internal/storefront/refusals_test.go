package storefront_test

import (
	"fmt"
	"testing"
)

// Row 72 of the fault matrix: each refusal of a stranger's order says in words what to do.
func TestShopperReadsWhyAnOrderIsRefused(t *testing.T) {
	for _, width := range []int64{390, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) { readRefusals(t, enter(t, width)) })
	}
}

func readRefusals(t *testing.T, v *visitor) {
	v.fillCart()
	v.Visit(v.shop.URL + "/checkout")
	v.fillCheckout()
	v.Fill("#name", "Win at evil.example")
	v.api.refusals = []string{
		`{"title":"Unprocessable Entity","status":422,"detail":"Some fields cannot be accepted.","errors":[
			{"location":"body.name","message":"looks like a web address: leave it out, or write a space after each full stop"}]}`,
		`{"title":"Unprocessable Entity","status":422,"detail":"Some fields cannot be accepted.","errors":[
			{"location":"body.lines[0].quantity","message":"must be between 1 and 5000; for more, please contact us"}]}`,
		`{"title":"Too Many Requests","status":429,"detail":"There are already 5 unpaid orders with this e-mail address. Please pay or cancel one of them first, or try again in 12 minutes."}`}
	v.Click("#place")
	v.See("#name-error", "Looks like a web address")
	v.look("refused-name")
	v.Fill("#name", "Ada Lovelace")
	v.Click("#place")
	v.See("#problem", "Stoneware mug, ember glaze: must be between 1 and 5000")
	v.look("refused-quantity")
	v.Click("#place")
	v.See("#problem", "already 5 unpaid orders with this e-mail address. Please pay or cancel one of them first, or try again in 12 minutes.")
	v.look("refused-unpaid")
	v.Click("#place") // the same request, later
	v.See("#headline", "Reserving your items")
	if n := len(v.api.keys); n != 4 || v.api.keys[3] != v.api.keys[1] {
		t.Errorf("Idempotency-Keys = %v, want the same for the same order", v.api.keys)
	}
	v.api.set("rejected", map[string]any{"reason": map[string]any{"code": "out_of_stock", "message": "Some quantities are too large.",
		"short": []map[string]any{{"sku": "MUG-01", "requested": 2, "available": 1, "limited": true}}}})
	v.See("#headline", "this is more than we can reserve at once")
	v.See("#short", "Stoneware mug, ember glaze: up to 1 in one order, you ordered 2.")
	v.look("refused-share")
	v.Click("#refill")
	v.See("#subtotal", "£76.50")
}
