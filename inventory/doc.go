// Package inventory keeps the catalogue and the stock: which items are for sale, how many units of each are on hand, and how many
// are held for which order.
//
// It promises that no unit is sold twice. Every line of an order is held in one atomic step, or none is; a refusal names
// each short SKU. For every SKU on_hand = available + held, none below zero, and the ledger sums to it: each movement
// carries the balance after it, as a bank statement does, so each entry can be checked against the one before.
//
// An unpaid order of a shopper holds at most a part of what is available of a SKU ([HoldLimit]), except the last units.
//
// There are three entities, all in the log; a SKU may be any text of 1 to 64 printable characters:
//
//	inventory.items.<sku>           Item         title, price, picture, tags; each event is the whole item
//	inventory.stock.main.<sku>      Stock        the ledger; the newest entry has the level
//	inventory.reservations.<order>  Reservation  the stock held for one order
//
// The life of one reservation. An arrow shows the event of the order that causes the change and, in brackets, the event that is
// appended to the reservation.
//
//	                  ┌─ orders.placed, in stock ──► held ─── orders.confirmed [committed] ────► committed
//	                  │  [held]                      │   ▲
//	(none) ───────────┤               orders.expired │   │ orders.paid_late, in stock [held]
//	                  │             orders.cancelled │   │
//	                  │  [refused]   orders.rejected ▼   │
//	                  └─ orders.placed, short ─► refused, released
//	                                                 └── orders.paid_late, short [refused] ─► refused
//
// A late payment holds the stock a second time, and nothing holds it a third time. The reservation is then marked late, so that
// the orders.expired from before the payment, if it is delivered again, does not release it. If a late payment arrives while
// the stock is still held, the reservation states again that it is held.
//
// Goods that were sold and not sent come back in four ways: by a refund (orders.refund_requested with units to restock), by the last
// parcel of an order ([events.OrderFulfilmentCreated] with Cancelled), by the cancellation of an order whose money was only
// authorized, and by the end of an authorization of which a part was captured (orders.authorization_lost). Each cause returns its goods once, and never more than the order has sold ([Return]).
//
// Handled: orders.placed, confirmed, expired, cancelled, rejected, paid_late, refund_requested, fulfilment_created, authorization_lost. Appended:
// inventory.item_changed, stock_adjusted, stock_held, stock_released, stock_committed, stock_returned, reservation_held,
// reservation_refused, reservation_released, reservation_committed, reservation_returned.
//
// The catalogue that shoppers search is computed in memory from the log alone, so they can search it while MongoDB is down.
package inventory
