package inventory_test

import (
	"fmt"

	"tillstream/events"
	"tillstream/inventory"
)

// An order for two items is refused as a whole when one of them is short: nothing is held, and the refusal names the SKU.
func ExampleDecide() {
	reservation := inventory.Reservation{}
	placed := events.OrderPlaced{OrderID: "o1", Lines: []events.OrderLine{{SKU: "MUG", Quantity: 2}, {SKU: "CUP", Quantity: 5}}}
	levels := map[string]events.StockLevel{"MUG": {OnHand: 9, Available: 9}, "CUP": {OnHand: 6, Available: 4, Held: 2}}

	action, _ := inventory.Next(reservation, placed)
	lines, _ := inventory.Demand(placed.Lines)
	decision, err := inventory.Decide(reservation, action, placed.OrderID, lines, levels, inventory.HoldLimit{Percent: 50, Always: 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, event := range decision.Reservation {
		fmt.Printf("%s %+v\n", event.EventType(), event)
	}
	fmt.Println(len(decision.Stock), "stock movements")
	// Output:
	// inventory.reservation_refused {OrderID:o1 Short:[{SKU:CUP Requested:5 Available:4 Limited:false}]}
	// 0 stock movements
}
