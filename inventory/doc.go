// Package inventory is what can be promised: which items there are, how many of each, and for whom they are put aside.
//
// It promises that nothing is sold twice. Every line of an order is held in one atomic step, or none is; a refusal names
// each short SKU. For every SKU on_hand = available + held, none below zero, and the ledger sums to it: each movement
// carries the balance after it, as a bank statement does, so any entry can be checked against the one before.
//
// There are three entities, all in the log; a SKU may be any text of 1 to 64 printable characters:
//
//	inventory.items.<sku>           Item         title, price, picture, tags; each event is the whole item
//	inventory.stock.<sku>           Stock        the ledger; the newest entry tells the level
//	inventory.reservations.<order>  Reservation  what is put aside for one order
//
// The life of one reservation. On the arrows: what the order said; in brackets: what inventory answers.
//
//	                  ┌─ orders.placed, all there ──► held ──── orders.confirmed [committed] ────► committed
//	                  │  [held]                       │   ▲
//	(none) ───────────┤                orders.expired │   │ orders.paid_late, all there [held]
//	                  │              orders.cancelled │   │
//	                  │  [refused]    orders.rejected ▼   │
//	                  └─ orders.placed, short ─► refused, released
//	                                                  └── orders.paid_late, short [refused] ─► refused
//
// A reservation is held a second time at most, after orders.paid_late; from then on it is "late", and the expiry that
// went before, delivered again, does not release it.
//
// Hears: orders.placed, orders.confirmed, orders.expired, orders.cancelled, orders.rejected, orders.paid_late.
// Says: inventory.item_changed, inventory.stock_adjusted, stock_held, stock_released, stock_committed,
// inventory.reservation_held, reservation_refused, reservation_released, reservation_committed.
//
// The catalogue that shoppers search is folded in memory from the log alone: the shop window stays open while MongoDB
// is down.
package inventory
