// Package orders accepts orders, has their stock held and their payment captured, and ends them.
//
// It promises that an order which was answered with 201 is never lost, that its payment is captured only while its stock is held,
// and that it always ends: confirmed, or in a state that gives the reason and the state of the payment.
//
//	               reservation refused            deadline passed
//	          ┌─────────────────────► rejected  ┌────────────────► expired ──┐ payment arrives late
//	          │                          ▲      │                            ▼
//	placed ───┴─► awaiting_payment ──────┼──────┤        held again ◄── paid_late ──► rejected (stock gone; refunded)
//	   reservation held    │             │      │             │
//	                       │ authorized  │      └─► cancelled │    (by the shopper, at Stripe, or a late payment refunded)
//	                       ▼             │                    │
//	                   capturing ◄───────┼────────────────────┘
//	                       │ captured    │ payment refused
//	                       ▼             │
//	                   confirmed ────────┘   a refund changes none of these states
//
// An order has two more statuses, as merchants know them. The payment status is unpaid, authorized, paid, partly_refunded or
// refunded. The fulfilment status is unfulfilled, until there are fulfilments. So an order that was refunded in part is still
// confirmed, and can be sent.
//
// An order leaves awaiting_payment by one append with an expected sequence, so exactly one of payment, expiry and
// cancellation wins. From capturing on it can neither be cancelled by the shopper nor expire; until then the amount is only
// authorized on the card.
//
// Handled: inventory.reservation_held, reservation_refused; payments.authorized, captured, cancelled, failed, refunded.
// Watched: inventory.item_changed, for the prices. Appended: orders.*. An unpaid order expires when the timer over
// orders.placed fires, or when the periodic job behind the timer finds it.
package orders
