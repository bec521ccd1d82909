package main

import (
	"net/http"
	"strings"
	"testing"

	"tillstream/events"
)

// Row 72 of the fault matrix: one anonymous request does not hold every unit of an item. Others can buy meanwhile, the last unit
// can be bought, and staff can order all of what is left.
//
// API6 of the OWASP API Top 10.
func TestOneStrangerDoesNotHoldTheWholeStock(t *testing.T) {
	t.Parallel()
	ts := startShop(t, nil)
	ts.list(t, "MUG", 1250, 100)
	ts.list(t, "PRINT", 4800, 1)
	greedy := ts.becomes(t, ts.place(t, cart("eve", line{"MUG", 100})), "rejected")
	isShortOf(t, greedy, events.Shortage{SKU: "MUG", Requested: 100, Available: 50, Limited: true})
	if !strings.Contains(greedy.Reason.Message, "Please order fewer units") {
		t.Errorf("reason = %q, want what to do", greedy.Reason.Message)
	}
	ts.becomes(t, ts.place(t, cart("eve", line{"MUG", 50})), "awaiting_payment")
	ts.buy(t, cart("ada", line{"MUG", 20}))
	ts.buy(t, cart("lola", line{"PRINT", 1}))
	ts.stockBecomes(t, "MUG", level{80, 30, 50})

	request := ts.checkoutRequest(t, cart("wholesaler", line{"MUG", 30}), "")
	request.Header.Set("Authorization", "Bearer "+ts.OpsKey)
	var large order
	ts.send(t, request).into(t, http.StatusCreated, &large)
	ts.becomes(t, large, "awaiting_payment")
	ts.stockBecomes(t, "MUG", level{80, 0, 80})
}
