// Package orders keeps the customer's promise; the saga lives here.
//
// It promises that an order which was answered with 201 is never lost, that it is paid for only while its stock is held,
// and that it always ends: confirmed, or in a state that says why not and where the money is.
//
//	               reservation refused            deadline passed
//	          ┌─────────────────────► rejected  ┌────────────────► expired ──┐ money arrives late
//	          │                          ▲      │                            ▼
//	placed ───┴─► awaiting_payment ──────┼──────┤        held again ◄── paid_late ──► rejected (stock gone; money back)
//	   reservation held    │             │      │             │
//	                       │ authorised  │      └─► cancelled │    (shopper, the intent cancelled at Stripe, a late payment sent back)
//	                       ▼             │                    │
//	                   capturing ◄───────┼────────────────────┘
//	                       │ captured    │ payment not taken
//	                       ▼             │
//	                   confirmed ────────┘   refunds are noted in any of them
//
// This is the first of three statuses, as merchants know them. The second says where the money is: unpaid, authorized, paid,
// partly_refunded, refunded. The third says where the goods are: unfulfilled, until there are fulfilments. So an order whose money
// went back in part is still confirmed, and can be sent.
//
// An order leaves awaiting_payment by one append with compare-and-set, so of "paid", "expired" and "cancelled" exactly
// one wins. From capturing on the shopper can neither cancel nor be timed out; until then no money is taken, only
// reserved on the card.
//
// Handled: inventory.reservation_held, _refused; payments.authorized, captured, cancelled, failed, refunded. Watched:
// inventory.item_changed, for the prices. Appended: orders.*. An order that waits for its money expires when the timer
// over orders.placed fires, or when the sweep behind the timer finds it.
package orders
